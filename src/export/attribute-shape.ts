import type { Attributes } from '@opentelemetry/api';
import type { SpanLimits } from '../trace/span';
import { ProtoWriter } from './proto-writer';

/** Spans of more attributes, and longer texts, differ from each other too often. */
const MAX_KEYS = 32;
const MAX_TEXT_LENGTH = 256;

/** Shapes kept, by a hash that takes no look at the characters of keys. */
const PLACES = 64;
/** So many spans of other shapes in a row take a place. */
const PATIENCE = 32;

/** A value that was another so many times is taken as it is now; after the last number it is one that varies. */
const RELEARN_AT = [4, 16, 64];

/** Stands for a value that is written anew for each span. */
const VARYING = Symbol('varying');

/** Writes one attribute, or leaves it out. */
export type WriteAttribute = (writer: ProtoWriter, key: string, value: unknown, limits: SpanLimits) => void;

/**
 * Attributes of spans that have the same keys in the same order, as one piece of code makes them: most of their values are
 * the same again and again (a method, an address, a system), so those are encoded once and copied, all in a row together.
 */
export class AttributeShape {
  readonly #values: unknown[];
  readonly #misses: Uint8Array;
  /** What is constant before each value that varies, and behind the last one. */
  #segments: Uint8Array[] = [];
  #strangers = 0;

  constructor(
    readonly keys: readonly string[],
    attributes: Attributes,
    readonly limits: SpanLimits,
    readonly writeAttribute: WriteAttribute,
  ) {
    this.#values = keys.map((key) => valueToKeep(attributes[key]));
    this.#misses = new Uint8Array(keys.length);
    this.#encodeConstants();
  }

  /** Whether an attribute object with these keys has this shape. */
  fits(keys: readonly string[], limits: SpanLimits): boolean {
    const own = this.keys;
    if (keys.length !== own.length || limits !== this.limits) return false;
    for (let i = 0; i < own.length; i++) if (keys[i] !== own[i]) return false;
    this.#strangers = 0;
    return true;
  }

  /** True when this shape has not been seen for so long that another one may have its place. */
  makesWay(): boolean {
    return ++this.#strangers > PATIENCE;
  }

  /** False, with nothing written, where a value is not what it was. */
  write(writer: ProtoWriter, attributes: Attributes): boolean {
    const { keys } = this;
    const values = this.#values;
    for (let i = 0; i < keys.length; i++) {
      const value = values[i];
      if (value !== VARYING && attributes[keys[i] as string] !== value) {
        this.#learn(attributes);
        return false;
      }
    }
    const segments = this.#segments;
    let segment = 0;
    for (let i = 0; i < keys.length; i++) {
      if (values[i] !== VARYING) continue;
      const constant = segments[segment++] as Uint8Array;
      if (constant.length > 0) writer.writeBytes(constant);
      const key = keys[i] as string;
      this.writeAttribute(writer, key, attributes[key], this.limits);
    }
    const last = segments[segment] as Uint8Array;
    if (last.length > 0) writer.writeBytes(last);
    return true;
  }

  #learn(attributes: Attributes): void {
    let isChanged = false;
    const values = this.#values;
    for (let i = 0; i < this.keys.length; i++) {
      const value = attributes[this.keys[i] as string];
      if (values[i] === VARYING || values[i] === value) continue;
      const misses = (this.#misses[i] ?? 0) + 1;
      this.#misses[i] = misses;
      if (!RELEARN_AT.includes(misses)) continue;
      values[i] = misses === RELEARN_AT.at(-1) ? VARYING : valueToKeep(value);
      isChanged = true;
    }
    if (isChanged) this.#encodeConstants();
  }

  #encodeConstants(): void {
    this.#segments = [];
    let writer = new ProtoWriter(256);
    const close = () => {
      this.#segments.push(Uint8Array.prototype.slice.call(writer.bytes()));
      writer = new ProtoWriter(256);
    };
    for (const [i, key] of this.keys.entries()) {
      if (this.#values[i] === VARYING) close();
      else this.writeAttribute(writer, key, this.#values[i], this.limits);
    }
    close();
  }
}

function valueToKeep(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      // Which never equals itself.
      return Number.isNaN(value) ? VARYING : value;
    case 'boolean':
      return value;
    case 'string':
      return value.length <= MAX_TEXT_LENGTH ? value : VARYING;
    default:
      return VARYING;
  }
}

const shapes: (AttributeShape | undefined)[] = new Array(PLACES).fill(undefined);

/** The shape of these attributes; `undefined` where there is none yet, or they are no plain ones. */
export function shapeOf(
  keys: readonly string[],
  attributes: Attributes,
  limits: SpanLimits,
  writeAttribute: WriteAttribute,
): AttributeShape | undefined {
  const count = keys.length;
  if (count === 0 || count > MAX_KEYS) return undefined;
  const place = (count * 31 + (keys[0] as string).length * 7 + (keys[count - 1] as string).length) % PLACES;
  const shape = shapes[place];
  if (shape?.fits(keys, limits)) return shape;
  if (shape === undefined || shape.makesWay()) {
    shapes[place] = new AttributeShape(keys, attributes, limits, writeAttribute);
  }
  return undefined;
}
