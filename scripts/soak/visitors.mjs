// Those who use the shop: they browse, buy, and sometimes go away in the middle. Each visit names a trace of its own.
import { Agent, request } from 'node:http';
import { visits } from '../../examples/shop/shop.mjs';
import { delay } from './services.mjs';

const TIMEOUT_MS = 20_000;
const PAUSE_MS = 40;

/** Answers that are right for each visit, with how many spans each of them makes: the goods may be sold out for a while. */
const EXPECTED = visits.map(({ path, status, spans, brokerSpans = 0 }) => {
  const answers = new Map([[status, spans + brokerSpans]]);
  const soldOut = visits.find((other) => other.status === 409);
  if (path === soldOut.path) answers.set(409, soldOut.spans);
  return answers;
});

export class Visitors {
  /** Visits that are over and have not been looked at: what was expected of each and what came. */
  done = [];
  count = 0;
  aborted = 0;
  #agent = new Agent({ keepAlive: true });
  #running = true;
  #loops;

  /**
   * @param {string} storefront
   * @param {() => number} random of [0, 1)
   * @param {number} atOnce
   * @param {(item: string) => void} onSold
   */
  constructor(storefront, random, atOnce, onSold) {
    this.storefront = storefront;
    this.random = random;
    this.onSold = onSold;
    this.#loops = Array.from({ length: atOnce }, () => this.#loop());
  }

  async #loop() {
    while (this.#running) {
      await this.visit(this.random() < 0.05);
      await delay(this.random() * 2 * PAUSE_MS);
    }
  }

  /** @param {boolean} givesUp goes away after a few milliseconds */
  visit(givesUp) {
    // Half of them only look.
    const at = this.random() < 0.5 ? 0 : Math.floor(this.random() * visits.length);
    const { path, body, title } = visits[at];
    const traceId = this.#hex(32);
    const visit = { title, traceId, startMs: performance.now(), givesUp };
    this.count++;
    if (givesUp) this.aborted++;
    return new Promise((resolve) => {
      const finish = (outcome, spans) => {
        clearTimeout(timer);
        this.done.push({ ...visit, endMs: performance.now(), outcome, spans });
        resolve();
      };
      const sent = request(
        this.storefront + path,
        {
          method: body ? 'POST' : 'GET',
          agent: this.#agent,
          headers: { traceparent: `00-${traceId}-${this.#hex(16)}-01` },
        },
        (response) => {
          response.resume();
          response.on('error', () => finish('cut off'));
          response.on('end', () => {
            const { statusCode } = response;
            if (statusCode === 201) this.onSold(body.id);
            const spans = EXPECTED[at].get(statusCode);
            finish(spans === undefined ? `answered ${statusCode}` : 'right', spans);
          });
        },
      );
      sent.on('error', ({ code, message }) => finish(code ?? message));
      sent.end(body && JSON.stringify(body));
      const timer = setTimeout(() => sent.destroy(new Error('no answer')), givesUp ? this.random() * 20 : TIMEOUT_MS);
    });
  }

  async stop() {
    this.#running = false;
    await Promise.all(this.#loops);
    this.#agent.destroy();
  }

  #hex(length) {
    return Array.from({ length }, () => Math.floor(this.random() * 16).toString(16)).join('');
  }
}
