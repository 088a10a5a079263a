// The shop's services as processes that end, crash and come back, as a platform would have it.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../suite.mjs';

const START_MS = 60_000;
const ASK_MS = 20_000;
/** What a service that cannot start waits before it tries again. */
const AGAIN_MS = 500;

export class Service {
  /** Processes so far, the last of them the running one. */
  instances = [];
  /** Ends that nobody asked for. */
  crashes = [];
  address;
  /** Whether its process listens. */
  isUp = false;
  #env;
  #stopping = false;

  /**
   * @param {{ name: string, file: string }} service of examples/shop/shop.mjs
   * @param {Record<string, string>} env
   * @param {boolean} traced
   */
  constructor({ name, file }, env, traced) {
    this.name = name;
    this.file = join(root, 'examples/shop/services', file);
    this.#env = env;
    this.traced = traced;
  }

  get current() {
    return this.instances.at(-1);
  }

  /** Resolves once it listens; at the address it had before, since the others know that one. */
  async start() {
    for (;;) {
      const instance = new Instance(this, this.#env, this.address);
      this.instances.push(instance);
      const address = await instance.listening;
      if (address !== undefined) {
        this.address ??= address;
        this.isUp = true;
        instance.ended.then((end) => this.#onEnd(instance, end));
        return;
      }
      this.crashes.push(await instance.ended);
      if (this.#stopping) return;
      await delay(AGAIN_MS);
    }
  }

  #onEnd(instance, end) {
    this.isUp = false;
    if (this.#stopping || instance.asked !== undefined) return;
    this.crashes.push(end);
    this.start();
  }

  /** Resolves with how it ended. `forGood`: it does not come back. */
  async stop(signal, forGood) {
    this.#stopping ||= forGood;
    const { current } = this;
    current.asked = signal;
    const startMs = performance.now();
    current.child.kill(signal);
    const end = await current.ended;
    return { ...end, tookMs: performance.now() - startMs };
  }
}

class Instance {
  id = randomUUID();
  samples = [];
  /** The signal that it was sent on purpose. */
  asked;
  stderr = '';
  /** What became of its spans, when last asked. */
  spans;
  #answers = new Map();
  #questions = 0;

  constructor({ name, file, traced }, env, address) {
    const preload = traced ? ['--import', pathToFileURL(join(root, 'register.mjs')).href] : [];
    this.name = name;
    this.startedMs = performance.now();
    this.child = spawn(process.execPath, [...preload, '--require', join(root, 'scripts/soak/probe.cjs'), file], {
      env: {
        ...env,
        PORT: address?.match(/:(\d+)$/)?.[1] ?? '0',
        OTEL_SERVICE_NAME: name,
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${this.id}`,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child.on('error', () => {});
    this.child.on('message', ({ id, ...answer }) => this.#answers.get(id)?.(answer));
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.stderr = (this.stderr + text).slice(-20_000);
    });
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        for (const answer of this.#answers.values()) answer(undefined);
        resolve({ name, code, signal, atMs: performance.now(), stderr: this.stderr });
      });
    });
    let stdout = '';
    const said = new Promise((resolve) => {
      this.child.stdout.setEncoding('utf8').on('data', (text) => {
        stdout += text;
        const [, where] = stdout.match(/listens on (\S+)\n/) ?? [];
        if (where !== undefined) resolve(where);
      });
    });
    this.listening = Promise.race([said, this.ended.then(() => undefined), delay(START_MS).then(() => undefined)]);
  }

  /** What it uses now, after a collection where asked for; `undefined` when it is gone. */
  async ask(collect = false) {
    const id = ++this.#questions;
    const answer = new Promise((resolve) => this.#answers.set(id, resolve));
    this.child.send({ id, collect }, (error) => error && this.#answers.get(id)?.(undefined));
    const told = await Promise.race([answer, delay(ASK_MS).then(() => undefined)]);
    this.#answers.delete(id);
    if (told?.spans) this.spans = told.spans;
    if (told && collect) this.samples.push({ atMs: performance.now(), heapUsed: told.heapUsed, rss: told.rss });
    return told;
  }
}

export const delay = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
