import { writeSync } from 'node:fs';
import type { BatchConfig } from '../config';
import { cut } from '../trace/attributes';
import { nowMs } from '../trace/clock';
import type { Span, SpanProcessor } from '../trace/span';
import type { Loss } from './losses';
import { DropCounter, type Flushable, type PendingListener, type ProcessorStats, untracedTimer } from './processor';

/** A span as `formatTrace` takes it, from whatever source. */
export interface PrintableSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  /** The API's SpanKind, 0 (internal) to 4 (consumer). */
  readonly kind: number;
  /** Milliseconds since any moment that all spans of the trace share. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly status: { readonly code: number; readonly message?: string | undefined };
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly serviceName?: string | undefined;
}

const KINDS = ['internal', 'server', 'client', 'producer', 'consumer'];

/** Attributes worth their place on a line, in this order; the rest belongs into a back end. */
const MAIN_ATTRIBUTES = [
  'http.response.status_code',
  'url.full',
  'server.address',
  'server.port',
  'db.system.name',
  'db.namespace',
  'db.query.text',
  'messaging.system',
  'messaging.destination.name',
  'rpc.system.name',
  'rpc.system',
  'rpc.response.status_code',
  'rpc.grpc.status_code',
  'error.type',
];

const MAX_VALUE_LENGTH = 80;
/** Columns of tree and name; longer ones push the rest of their line to the right. */
const MAX_NAME_COLUMNS = 60;
const MAX_DEPTH = 64;

const RESET = '\u001b[0m';
const STYLES = { dim: '\u001b[2m', red: '\u001b[31m', bold: '\u001b[1m' } as const;

/**
 * Spans of one or more traces as a tree per trace, ending in a line break:
 *
 *     trace 4bf92f3577b34da6a3ce929d0e0e4736  shop  2 spans
 *     GET /cart          server   12.4 ms  http.response.status_code=200
 *     └─ SELECT carts    client    3.1 ms  db.system.name=postgresql
 *
 * Spans whose parent is not among them are roots. Never throws on hostile attribute values.
 */
export function formatTrace(spans: readonly PrintableSpan[], { color }: { readonly color: boolean }): string {
  const byTrace = new Map<string, PrintableSpan[]>();
  for (const span of spans) {
    const trace = byTrace.get(span.traceId);
    if (trace === undefined) byTrace.set(span.traceId, [span]);
    else trace.push(span);
  }
  let text = '';
  for (const [traceId, trace] of byTrace) text += formatOne(traceId, trace, color);
  return text;
}

function formatOne(traceId: string, spans: readonly PrintableSpan[], color: boolean): string {
  const style = (name: keyof typeof STYLES, text: string): string => (color ? STYLES[name] + text + RESET : text);
  const rows = layOut(spans);
  const durations = rows.map(({ span }) => formatDuration(span.durationMs));
  const nameColumns = Math.min(
    Math.max(...rows.map(({ tree, span }) => columns(tree + printable(span.name)))),
    MAX_NAME_COLUMNS,
  );
  const durationColumns = Math.max(...durations.map((duration) => duration.length));
  const service = spans.find(({ serviceName }) => serviceName !== undefined)?.serviceName;
  const count = `${spans.length} ${spans.length === 1 ? 'span' : 'spans'}`;
  const head = ['trace', printable(traceId), ...(service === undefined ? [] : [printable(service)]), count];
  let text = `${style('dim', `${head[0]} `)}${style('bold', String(head[1]))}${style('dim', `  ${head.slice(2).join('  ')}`)}\n`;
  for (const [i, { tree, span }] of rows.entries()) {
    const failed = span.status.code === 2;
    const name = printable(span.name);
    const padding = ' '.repeat(Math.max(nameColumns - columns(tree + name), 0));
    const kind = (KINDS[span.kind] ?? 'internal').padEnd(8);
    const duration = String(durations[i]).padStart(durationColumns);
    const details = detailsOf(span);
    text += `${style('dim', tree)}${failed ? style('red', name) : name}${padding}  ${style('dim', kind)}  ${duration}`;
    if (failed) {
      const message = span.status.message === undefined ? '' : ` ${printable(span.status.message)}`;
      text += `  ${style('red', `ERROR${message}`)}`;
    }
    if (details !== '') text += `  ${style('dim', details)}`;
    text += '\n';
  }
  return text;
}

interface Row {
  /** Lines in front of the name. */
  readonly tree: string;
  readonly span: PrintableSpan;
}

/** The spans in printing order: each under its parent, siblings by their start. */
function layOut(spans: readonly PrintableSpan[]): Row[] {
  const sorted = [...spans].sort((left, right) => left.startMs - right.startMs);
  const ids = new Set(sorted.map(({ spanId }) => spanId));
  const children = new Map<string, PrintableSpan[]>();
  const roots: PrintableSpan[] = [];
  for (const span of sorted) {
    const { parentSpanId } = span;
    if (parentSpanId === undefined || parentSpanId === span.spanId || !ids.has(parentSpanId)) {
      roots.push(span);
    } else {
      const siblings = children.get(parentSpanId);
      if (siblings === undefined) children.set(parentSpanId, [span]);
      else siblings.push(span);
    }
  }
  const rows: Row[] = [];
  const seen = new Set<PrintableSpan>();
  const add = (span: PrintableSpan, tree: string, below: string, depth: number): void => {
    if (seen.has(span)) return;
    seen.add(span);
    rows.push({ tree, span });
    const under = depth < MAX_DEPTH ? (children.get(span.spanId) ?? []) : [];
    for (const [i, child] of under.entries()) {
      const last = i === under.length - 1;
      add(child, `${below}${last ? '└─ ' : '├─ '}`, `${below}${last ? '   ' : '│  '}`, depth + 1);
    }
  };
  for (const root of roots) add(root, '', '', 0);
  // Left over only from ids that form a circle or a tree deeper than MAX_DEPTH: shown as roots, without their own.
  for (const span of sorted) if (!seen.has(span)) rows.push({ tree: '', span });
  return rows;
}

/** One unit for all, so that the column reads as numbers do. */
function formatDuration(durationMs: number): string {
  const ms = Number.isFinite(durationMs) && durationMs > 0 ? durationMs : 0;
  return `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

function detailsOf({ attributes }: PrintableSpan): string {
  const details: string[] = [];
  for (const key of MAIN_ATTRIBUTES) {
    if (key === 'server.port' || (key === 'server.address' && attributes['url.full'] !== undefined)) continue;
    const value = attributes[key];
    if (value === undefined || value === null) continue;
    let text = describeValue(value);
    const port = attributes['server.port'];
    if (key === 'server.address' && port !== undefined) text += `:${describeValue(port)}`;
    details.push(`${key}=${text}`);
  }
  return details.join(' ');
}

function describeValue(value: unknown): string {
  try {
    const text = printable(typeof value === 'object' ? JSON.stringify(value) : String(value));
    return text.length > MAX_VALUE_LENGTH ? `${cut(text, MAX_VALUE_LENGTH - 1)}…` : text;
  } catch {
    return '?';
  }
}

/** Control characters come from requests and must not reach a terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to keep out
  return String(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}

function columns(text: string): number {
  // Code points; wide characters are rare in span names, and a table of widths is not worth its size.
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Writes to the given descriptor at once; a pipe that is full is waited for, but not for long. */
export function writeAll(fd: number, text: string | Buffer, maxWaitMs = 200): void {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  const deadlineMs = nowMs() + maxWaitMs;
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || nowMs() >= deadlineMs) return;
      // Nobody reads at the moment. There is no way to wait for a descriptor but to sleep.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

export interface ConsoleOptions {
  /** Default: standard output. */
  readonly write?: (text: string) => void;
  /** Default: standard output is a terminal and NO_COLOR is not set. */
  readonly color?: boolean;
  readonly listener?: PendingListener;
}

/**
 * OTEL_TRACES_EXPORTER=console: prints traces for people. Standard output, as the SDKs' console exporter;
 * whoever sets this wants to read it there, and nothing else of the agent is ever written to it.
 *
 * A trace is printed when its local root (no parent, or a remote one) has ended; one whose root does not
 * end is printed in parts, after `scheduleDelayMs` or when `maxQueueSize` spans are waiting.
 */
export class ConsoleProcessor implements SpanProcessor, Flushable {
  readonly #batch: BatchConfig;
  readonly #write: (text: string) => void;
  #color: boolean | undefined;
  readonly #drops = new DropCounter();
  readonly #traces = new Map<string, PrintableSpan[]>();
  /** Traces whose root has ended. */
  readonly #complete = new Set<string>();
  #queued = 0;
  #exported = 0;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #listener: PendingListener | undefined;

  constructor(batch: BatchConfig, options: ConsoleOptions = {}) {
    this.#batch = batch;
    this.#listener = options.listener;
    this.#write = options.write ?? ((text) => writeAll(1, text));
    this.#color = options.color;
  }

  onEnd(span: Span): void {
    if (this.#closed) {
      this.#drops.count('shutdown', 1, '');
      return;
    }
    const printableSpan = toPrintable(span);
    const { traceId } = printableSpan;
    const trace = this.#traces.get(traceId);
    if (trace === undefined) this.#traces.set(traceId, [printableSpan]);
    else trace.push(printableSpan);
    if (this.#queued++ === 0) this.#listener?.onQueued();
    if (span.parent === undefined || span.parent.isRemote) this.#complete.add(traceId);
    if (this.#queued >= this.#batch.maxQueueSize) {
      this.#print(this.#traces.keys());
    } else if (this.#complete.has(traceId)) {
      // Not at once: off the application's stack, and children that end together with the root are still to come.
      this.#soon ??= untracedTimer(() => {
        this.#soon = undefined;
        this.#print(this.#complete);
      }, 0);
    } else {
      this.#timer ??= untracedTimer(() => {
        this.#timer = undefined;
        this.#print(this.#traces.keys());
      }, this.#batch.scheduleDelayMs);
    }
  }

  async flush(): Promise<boolean> {
    this.flushSync();
    return true;
  }

  flushSync(): void {
    this.#print(this.#traces.keys());
  }

  hasPending(): boolean {
    return this.#queued > 0;
  }

  hasPendingAsync(): boolean {
    return false;
  }

  async shutdown(): Promise<boolean> {
    this.flushSync();
    this.#closed = true;
    return true;
  }

  hasLosses(): boolean {
    return this.#drops.hasLosses();
  }

  lastLosses(): readonly Loss[] {
    return this.#drops.takeLosses('to standard output');
  }

  stats(): ProcessorStats {
    return { queued: this.#queued, inFlight: 0, exported: this.#exported, dropped: { ...this.#drops.counts } };
  }

  #print(traceIds: Iterable<string>): void {
    let text = '';
    let count = 0;
    for (const traceId of [...traceIds]) {
      const spans = this.#traces.get(traceId);
      this.#traces.delete(traceId);
      this.#complete.delete(traceId);
      if (spans === undefined) continue;
      count += spans.length;
      this.#color ??= wantsColor();
      try {
        text += formatTrace(spans, { color: this.#color });
      } catch {
        this.#drops.count('invalid', spans.length, 'a trace cannot be printed');
      }
    }
    this.#queued -= count;
    if (count > 0 && this.#queued === 0) this.#listener?.onDrained();
    if (text === '') return;
    try {
      this.#write(text);
      this.#exported += count;
    } catch {
      this.#drops.count('export_failed', count, '');
    }
  }
}

function wantsColor(): boolean {
  // https://no-color.org: any value but the empty one.
  if (process.env['NO_COLOR'] !== undefined && process.env['NO_COLOR'] !== '') return false;
  try {
    // Not process.stdout.isTTY: reading it would open the stream, which changes how output is flushed at exit.
    return (require('node:tty') as typeof import('node:tty')).isatty(1);
  } catch {
    return false;
  }
}

function toPrintable(span: Span): PrintableSpan {
  const [seconds, nanos] = span.startTime;
  const [durationSeconds, durationNanos] = span.duration;
  const serviceName = span.resource.attributes['service.name'];
  return {
    traceId: span.identity.traceId,
    spanId: span.identity.spanId,
    parentSpanId: span.parentSpanId,
    name: span.name,
    kind: span.kind,
    startMs: seconds * 1000 + nanos / 1e6,
    durationMs: durationSeconds * 1000 + durationNanos / 1e6,
    status: span.status,
    attributes: span.attributes,
    serviceName: typeof serviceName === 'string' ? serviceName : undefined,
  };
}
