import type { TraceState as ApiTraceState } from '@opentelemetry/api';
import { log } from '../log';
import { TraceState } from '../propagation/trace-state';
import { type Sampler, SamplingDecision } from '../trace/sampler';
import { FLAG_RANDOM, type SpanIdentity } from '../trace/span-identity';

/**
 * Consistent probability sampling (specification: trace/tracestate-probability-sampling.md and tracestate-handling.md).
 *
 * A trace has 56 bits of randomness: `rv` in the `ot` member of tracestate, else the last seven bytes of its id. A sampler
 * keeps it when they are not below its rejection threshold, which goes on as `th`: back ends count a span for as many as
 * it stands for. 56 bits are more than a number holds exactly, so they are kept in two parts.
 */

interface Bits56 {
  /** 24 bits. */
  readonly high: number;
  /** 32 bits, unsigned. */
  readonly low: number;
}

const MEMBER = 'ot';
const THRESHOLD = 'th';
const RANDOMNESS = 'rv';
const DIGITS = 14;
const MAX_MEMBER_LENGTH = 256;

/** Significant hexadecimal digits of a threshold, as the specification recommends. */
const PRECISION = 4;

/**
 * The `th` of a probability, without trailing zeros: four digits behind the leading ones that are all `f`. `undefined` below
 * 2^-56, which no threshold can say.
 */
export function thresholdOf(probability: number): string | undefined {
  const range = 1n << 56n;
  const accepted = BigInt(Math.round(probability * 2 ** 56));
  if (accepted <= 0n) return undefined;
  const leading = probability >= 1 ? 0 : Math.max(0, Math.floor(-Math.log2(probability) / 4));
  const digits = Math.min(PRECISION + leading, DIGITS);
  const unit = 1n << BigInt(56 - 4 * digits);
  let rejected = ((range - accepted + unit / 2n) / unit) * unit;
  if (rejected >= range) rejected = range - unit;
  let text = rejected.toString(16).padStart(DIGITS, '0');
  let end = text.length;
  while (end > 1 && text[end - 1] === '0') end--;
  text = text.slice(0, end);
  return text;
}

/** 1 to 14 hexadecimal digits, the missing ones zero. */
export function parseThreshold(text: string): Bits56 | undefined {
  return text.length >= 1 && text.length <= DIGITS && isHex(text) ? toBits(text.padEnd(DIGITS, '0')) : undefined;
}

/** Exactly 14 hexadecimal digits. */
function parseRandomness(text: string): Bits56 | undefined {
  return text.length === DIGITS && isHex(text) ? toBits(text) : undefined;
}

function toBits(hex: string): Bits56 {
  return { high: Number.parseInt(hex.slice(0, 6), 16), low: Number.parseInt(hex.slice(6), 16) };
}

function isHex(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i) | 0x20;
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
  }
  return true;
}

function isKept(randomness: Bits56, threshold: Bits56): boolean {
  if (randomness.high !== threshold.high) return randomness.high > threshold.high;
  return randomness.low >= threshold.low;
}

/** The `ot` member. Lists of the application's own make may lack what the API asks for. */
function memberOf(list: ApiTraceState | undefined): string | undefined {
  try {
    const member = list?.get(MEMBER);
    return typeof member === 'string' ? member : undefined;
  } catch {
    return undefined;
  }
}

/** The value of one key in a member such as `th:c;rv:0123456789abcd`. */
function readKey(member: string, wanted: string): string | undefined {
  for (const pair of member.split(';')) {
    const colon = pair.indexOf(':');
    if (colon === wanted.length && pair.startsWith(wanted)) return pair.slice(colon + 1);
  }
  return undefined;
}

/** The list with another `th`, all other keys and members as they are; `undefined` takes it out. */
function withThreshold(list: ApiTraceState | undefined, threshold: string | undefined): ApiTraceState | undefined {
  const member = memberOf(list) ?? '';
  const others = member.split(';').filter((pair) => pair !== '' && !pair.startsWith(`${THRESHOLD}:`));
  if (threshold !== undefined) others.unshift(`${THRESHOLD}:${threshold}`);
  const value = others.join(';');
  if (value === member) return list;
  // A member that is full stays without: a threshold that says nothing is better than one that is cut.
  if (value.length > MAX_MEMBER_LENGTH) return withThreshold(list, undefined);
  try {
    if (value !== '') return list === undefined ? new TraceState(`${MEMBER}=${value}`) : list.set(MEMBER, value);
    const rest = list?.unset(MEMBER);
    return rest === undefined || rest.serialize() === '' ? undefined : rest;
  } catch {
    return list;
  }
}

function randomnessOf(parent: SpanIdentity | undefined, span: SpanIdentity, mayPresume: boolean): Bits56 | undefined {
  const explicit = memberOf(parent?.traceState);
  const given = explicit === undefined ? undefined : readKey(explicit, RANDOMNESS);
  const randomness = given === undefined ? undefined : parseRandomness(given);
  if (randomness !== undefined) return randomness;
  if (parent !== undefined && (parent.flags & FLAG_RANDOM) === 0) {
    if (!mayPresume) return undefined;
    log.once(
      'warn',
      'presumed-randomness',
      'a caller sends trace ids without the W3C random flag: consistent_probability takes them for random all the same',
    );
  }
  return { high: span.trace2 & 0xff_ffff, low: span.trace3 >>> 0 };
}

/**
 * `consistent_probability` decides for each trace by its own threshold, whatever the caller decided: what a service with a
 * smaller share keeps, one with a larger share keeps too. `parentbased_consistent_probability` follows the caller and
 * passes its threshold on.
 */
export class ConsistentSampler implements Sampler {
  readonly describes = false;
  readonly #text: string | undefined;
  readonly #threshold: Bits56 | undefined;
  /** What most roots carry, made once. */
  readonly #rootState: ApiTraceState | undefined;

  constructor(
    readonly probability: number,
    readonly parentBased: boolean,
  ) {
    this.#text = thresholdOf(probability);
    this.#threshold = this.#text === undefined ? undefined : parseThreshold(this.#text);
    this.#rootState = withThreshold(undefined, this.#text);
  }

  shouldSample(parent: SpanIdentity | undefined, span: SpanIdentity): SamplingDecision {
    // Below a span of this process all is decided, and written where it is inherited from.
    if (parent !== undefined && !parent.isRemote) return toDecision(parent.sampled);
    if (parent !== undefined && this.parentBased) return this.#follow(parent, span);

    const threshold = this.#threshold;
    const randomness = threshold === undefined ? undefined : randomnessOf(parent, span, true);
    const sampled = randomness !== undefined && threshold !== undefined && isKept(randomness, threshold);
    if (parent?.traceState === undefined) span.traceState = sampled ? this.#rootState : undefined;
    else span.traceState = withThreshold(parent.traceState, sampled ? this.#text : undefined);
    return toDecision(sampled);
  }

  toString(): string {
    const sampler = `ConsistentProbability{${this.probability}}`;
    return this.parentBased ? `ParentBased{root=${sampler}}` : sampler;
  }

  /** A threshold that the flag contradicts would make back ends count wrong, and is taken out. */
  #follow(parent: SpanIdentity, span: SpanIdentity): SamplingDecision {
    const { traceState, sampled } = parent;
    const member = memberOf(traceState);
    const given = member === undefined ? undefined : readKey(member, THRESHOLD);
    if (given !== undefined) {
      const threshold = parseThreshold(given);
      const randomness = randomnessOf(parent, span, false);
      const agrees = threshold !== undefined && (randomness === undefined || isKept(randomness, threshold) === sampled);
      if (!agrees) span.traceState = withThreshold(traceState, undefined);
    }
    return toDecision(sampled);
  }
}

function toDecision(sampled: boolean): SamplingDecision {
  return sampled ? SamplingDecision.RecordAndSample : SamplingDecision.Drop;
}
