/**
 * Trace and span identifiers as signed 32-bit integers.
 *
 * Hexadecimal strings cost about ten times as much to make as integers, and most
 * ids are only ever written to bytes, so strings are built when somebody asks.
 */

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

/** The value of one lower-case hexadecimal character code, or -1: upper case is invalid in `traceparent`. */
export function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  return -1;
}

/**
 * Reads eight lower-case hexadecimal characters at `at` as a signed 32-bit integer.
 * Returns `NaN` for any other character.
 */
export function parseHex32(text: string, at: number): number {
  let value = 0;
  for (let i = at; i < at + 8; i++) {
    const digit = hexDigit(text.charCodeAt(i));
    if (digit < 0) return Number.NaN;
    value = (value << 4) | digit;
  }
  return value;
}

seedIds();
