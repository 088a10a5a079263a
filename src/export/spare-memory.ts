import { INITIAL_BYTES } from './proto-writer';

/** Larger ones are not kept while nothing uses them. */
const MAX_SPARE_BYTES = 512 * 1024;

/** Memory of so many times the size asked for would be wasted on it. */
const MAX_EXCESS = 4;

/** A batch is rarely as large as the one before: with this much more it fits all the same. */
const SLACK = 1.05;

/**
 * What one batch is done with, for the next: a process that exports all the time asks for no memory, and the garbage
 * collector has none to give back. Buffers outside of the heap are what V8 starts its full collections for.
 */
export class SpareMemory {
  #spare: Buffer | undefined;

  /** At least so many bytes, of any content. */
  take(bytes: number): Buffer {
    const spare = this.#spare;
    this.#spare = undefined;
    const fits =
      spare !== undefined && spare.length >= bytes && spare.length <= Math.max(bytes, INITIAL_BYTES) * MAX_EXCESS;
    // Not from the pool of small buffers: it would be kept alive by a buffer that lives for seconds.
    return fits ? spare : Buffer.allocUnsafeSlow(Math.ceil(bytes * SLACK));
  }

  /** `buffer`: of `take`, or its first part; nobody reads or writes it any more. */
  give({ buffer }: Buffer): void {
    if (buffer.byteLength <= MAX_SPARE_BYTES * SLACK) this.#spare = Buffer.from(buffer as ArrayBuffer);
  }
}
