import { readFileSync } from 'node:fs';
import type { Attributes } from '@opentelemetry/api';
import { type Ask, ask } from '../ask';
import { startTimer } from '../timers';
import { nowMs } from '../trace/clock';

/** Where a cloud detector looks; tests have their own. */
export interface CloudSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file's text; throws when there is none. */
  read(path: string): string;
  readonly ask: Ask;
  /** Waits before a request is tried again; resolves to false when there is no time left to do so. */
  pause(): Promise<boolean>;
}

/** One platform provider's detector. */
export interface CloudDetector {
  /** What variables and files tell. Asks nobody. */
  known(sources: CloudSources): Attributes;
  /** Everything: that, and what the metadata service tells. Rejects with what went wrong when the service is not there. */
  detect(sources: CloudSources): Promise<Attributes>;
}

/** Longer than any identifier of these platforms; what is longer is something else. */
const MAX_LENGTH = 2048;

/** The variable; `undefined` for an empty or blank one. */
export function variable({ env }: CloudSources, name: string): string | undefined {
  return text(env[name]);
}

/** A value as an attribute may have it: trimmed, and `undefined` for what is no text, empty or far too long. */
export function text(value: unknown): string | undefined {
  const trimmed = typeof value === 'string' ? value.trim() : '';
  return trimmed === '' || trimmed.length > MAX_LENGTH ? undefined : trimmed;
}

/** The file's text; `undefined` when there is none. */
export function readText({ read }: CloudSources, path: string): string | undefined {
  try {
    return read(path);
  } catch {
    return undefined;
  }
}

/** JSON of an object; `undefined` for anything else. */
export function parseObject(json: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json ?? '');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Without what is `undefined`. */
export function present(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** `b` of `a/b`. */
export function lastSegment(path: string | undefined): string | undefined {
  return path === undefined ? undefined : text(path.slice(path.lastIndexOf('/') + 1));
}

/** One request to a metadata service, which answers in milliseconds where there is one. */
const REQUEST_TIMEOUT_MS = 1000;
/** Metadata services are on the machine itself or one hop away. */
const CONNECT_TIMEOUT_MS = 300;
/** An instance's description has some kilobytes; what users may add to it is up to 64 KiB. */
const MAX_RESPONSE_BYTES = 256 * 1024;
const PAUSE_MS = 250;

/** This process's own, for a detection that takes at most `timeoutMs`. */
export function processSources(timeoutMs: number): CloudSources {
  let endMs: number | undefined;
  return {
    env: process.env,
    read: (path) => readFileSync(path, 'utf8'),
    ask: (url, options) =>
      ask(url, {
        ...options,
        timeoutMs: Math.min(REQUEST_TIMEOUT_MS, timeoutMs),
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        maxResponseBytes: MAX_RESPONSE_BYTES,
      }),
    pause() {
      endMs ??= nowMs() + timeoutMs;
      const last = endMs;
      return new Promise((resolve) => startTimer(() => resolve(nowMs() < last), PAUSE_MS).unref());
    },
  };
}
