import type { Attributes } from '@opentelemetry/api';

/**
 * Attributes that many spans have in common, such as those of a connection or a statement. Exporters encode a block once
 * and copy its bytes into each span, which costs a tenth of encoding them one by one.
 */
export class AttributeBlock {
  /** Without `undefined` values; never changed. */
  readonly attributes: Readonly<Attributes>;
  readonly count: number;
  /** What the encoder made of it, and for which limits. */
  encoded: { readonly bytes: Uint8Array; readonly limits: object } | undefined = undefined;

  constructor(attributes: Attributes) {
    const defined: Attributes = {};
    let count = 0;
    for (const key of Object.keys(attributes)) {
      const value = attributes[key];
      if (value === undefined) continue;
      defined[key] = value;
      count++;
    }
    this.attributes = Object.freeze(defined);
    this.count = count;
  }
}

/** What an operation adds its blocks to; more than a span has room for are merged into its own attributes. */
export interface AttributeBlocks {
  add(block: AttributeBlock): void;
}

/** The blocks of a span that is being made. */
export class BlockList implements AttributeBlocks {
  readonly items: AttributeBlock[] = [];
  count = 0;

  add(block: AttributeBlock): void {
    this.items[this.count++] = block;
  }

  clear(): void {
    this.count = 0;
  }

  /** All attributes as one object, which is `attributes` where there is no block. */
  mergedWith(attributes: Attributes): Attributes {
    if (this.count === 0) return attributes;
    const merged: Attributes = {};
    for (let i = 0; i < this.count; i++) Object.assign(merged, (this.items[i] as AttributeBlock).attributes);
    return Object.assign(merged, attributes);
  }
}

/**
 * Holds the block of what usually, but not always, repeats: the Host header of a connection, the caller behind a
 * proxy. A block is made when the same values come a second time, so what changes with every span costs nothing more.
 *
 *     if (slot.repeats(scheme, host)) blocks.add(slot.block ??= new AttributeBlock(describe(scheme, host)));
 *     else Object.assign(attributes, describe(scheme, host));
 */
export class BlockSlot {
  block: AttributeBlock | undefined = undefined;
  #first: unknown = undefined;
  #second: unknown = undefined;
  #third: unknown = undefined;

  /** Whether these are the values of the call before. */
  repeats(first: unknown, second?: unknown, third?: unknown): boolean {
    if (this.#first === first && this.#second === second && this.#third === third) return true;
    this.#first = first;
    this.#second = second;
    this.#third = third;
    this.block = undefined;
    return false;
  }
}

/** Entries of a `BlockCache`; beyond these it starts anew, so that what is used again comes back soon. */
const MAX_ENTRIES = 512;

/** Longer keys are hardly ever the same twice. */
const MAX_KEY_LENGTH = 256;

/** Blocks by a text that describes them completely, for what has no object of its own to keep a `BlockSlot` with. */
export class BlockCache {
  readonly #blocks = new Map<string, AttributeBlock>();

  /** `make` is called for a key that is not known. */
  get(key: string, make: () => Attributes): AttributeBlock {
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    const block = new AttributeBlock(make());
    if (key.length <= MAX_KEY_LENGTH) {
      if (this.#blocks.size >= MAX_ENTRIES) this.#blocks.clear();
      this.#blocks.set(key, block);
    }
    return block;
  }
}
