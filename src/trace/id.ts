/**
 * Trace and span identifiers as signed 32-bit integers.
 *
 * Hexadecimal strings cost about ten times as much to make as integers, and most
 * ids are only ever written to bytes, so strings are built when somebody asks.
 */

/** What HEX_VALUE holds for a character that is no digit. */
const INVALID = 0x80;

const HEX_BYTE: string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** xoshiro128** state; any value but all zeros is valid. */
let a = 0;
let b = 0;
let c = 0;
let d = 0;

/**
 * Seeds the generator. `Math.random` is seeded per isolate from the operating system's entropy,
 * and several draws of it fill the state; time and pid are mixed in so that processes started
 * with `--random-seed`, or from one snapshot, still differ. The crypto module would cost 2 to 6 ms
 * at start, and ids need to be unique, not secret.
 */
export function seedIds(): void {
  const now = process.hrtime();
  a = (Math.random() * 0x100000000) ^ now[1] ^ process.pid;
  b = (Math.random() * 0x100000000) ^ now[0] ^ Math.imul(process.pid, 0x9e3779b1);
  c = (Math.random() * 0x100000000) ^ (Date.now() | 0);
  d = (Math.random() * 0x100000000) | 1;
  for (let i = 0; i < 16; i++) randomInt32();
}

/** The next 32 random bits as a signed integer: xoshiro128** by Blackman and Vigna (prng.di.unimi.it). */
export function randomInt32(): number {
  const product = Math.imul(b, 5);
  const result = Math.imul((product << 7) | (product >>> 25), 9);
  const shifted = b << 9;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= shifted;
  d = (d << 11) | (d >>> 21);
  return result;
}

let epochHeads = false;

/** From now on trace ids begin with the time, as AWS X-Ray wants them, or with random bits. */
export function useEpochHeads(on: boolean): void {
  epochHeads = on;
}

/**
 * The first 32 bits of a new trace id, never 0: random, or the seconds since 1970. Only those: the 56 bits at the other end, which the
 * random flag of W3C Trace Context level 2 promises, are random either way.
 */
export function traceIdHead(): number {
  return epochHeads ? (Date.now() / 1000) | 0 : randomInt32() | 1;
}

/** Eight lower-case hexadecimal characters of one 32-bit integer. */
export function hex32(value: number): string {
  return (
    (HEX_BYTE[value >>> 24] as string) +
    (HEX_BYTE[(value >>> 16) & 0xff] as string) +
    (HEX_BYTE[(value >>> 8) & 0xff] as string) +
    (HEX_BYTE[value & 0xff] as string)
  );
}

/** The two digits of each byte, the first in the lower half. */
const HEX_DIGITS = Uint16Array.from(HEX_BYTE, (text) => text.charCodeAt(0) | (text.charCodeAt(1) << 8));

/** Writes the same eight characters into `bytes`. */
export function writeHex32(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) {
    const digits = HEX_DIGITS[(value >>> (24 - 8 * i)) & 0xff] as number;
    bytes[at + 2 * i] = digits;
    bytes[at + 2 * i + 1] = digits >>> 8;
  }
}

/** Values of lower-case hexadecimal digits by character code; upper case is invalid in `traceparent`, as is all else. */
const HEX_VALUE = new Uint8Array(256).fill(INVALID);
for (let value = 0; value < 16; value++) HEX_VALUE[value.toString(16).charCodeAt(0)] = value;

/** Bits of all digits read since `startHex`, and bits above the lowest four for what is no digit. */
let seen = 0;

/**
 * Begins reading hexadecimal digits; `isHex` tells afterwards whether all that was read were some. Checking each call's
 * result would cost more than the reading: a trace id is read of every request.
 */
export function startHex(): void {
  seen = 0;
}

export function isHex(): boolean {
  return (seen & ~0xf) === 0;
}

/** Two characters at `at` as a number. */
export function readHex8(text: string, at: number): number {
  const c0 = text.charCodeAt(at);
  const c1 = text.charCodeAt(at + 1);
  const high = HEX_VALUE[c0 & 0xff] as number;
  const low = HEX_VALUE[c1 & 0xff] as number;
  seen |= high | low | ((c0 | c1) & 0xff00);
  return (high << 4) | low;
}

/** Eight characters at `at` as a signed 32-bit integer. */
export function readHex32(text: string, at: number): number {
  let value = 0;
  let bits = 0;
  for (let i = at; i < at + 8; i++) {
    const code = text.charCodeAt(i);
    const digit = HEX_VALUE[code & 0xff] as number;
    bits |= digit | (code & 0xff00);
    value = (value << 4) | digit;
  }
  seen |= bits;
  return value;
}

seedIds();
