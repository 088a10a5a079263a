import { ProtoReader } from './protobuf';

const TAG_RESOURCE_SPANS = 0x0a;
const TAG_SCOPE_SPANS = 0x12;

/** One message that holds a list: everything of it but the list, and the list's items. */
interface Parent<Item> {
  /** Whole fields, tag included: the resource or scope, and the schema URL. */
  readonly head: readonly Uint8Array[];
  readonly items: Item[];
}

type Scope = Parent<Uint8Array>;

/**
 * An ExportTraceServiceRequest in binary that can be cut between spans. Each slice is a request of its own, with the
 * resources and scopes that its spans belong to. Throws a RangeError for what is no such request.
 */
export class SlicedRequest {
  readonly #resources: readonly Parent<Scope>[];
  /** Bytes of each span, its tag and length included, in the order of the request. */
  readonly #spanSizes: number[] = [];
  /** Bytes that are not spans. */
  readonly #headBytes: number;

  constructor(request: Uint8Array) {
    let spanBytes = 0;
    const readScope = (scopeSpans: Uint8Array): Scope => {
      const scope = fieldsOf(scopeSpans, 2, (_span, field) => field);
      for (const { length } of scope.items) {
        this.#spanSizes.push(length);
        spanBytes += length;
      }
      return scope;
    };
    const { items } = fieldsOf(request, 1, (resourceSpans) => fieldsOf(resourceSpans, 2, readScope));
    this.#resources = items;
    this.#headBytes = request.length - spanBytes;
  }

  get spanCount(): number {
    return this.#spanSizes.length;
  }

  /** A request with the spans from index `from` to before index `to`. */
  slice(from: number, to: number): Buffer {
    const parts: Uint8Array[] = [];
    let index = 0;
    for (const resource of this.#resources) {
      const scopes: Uint8Array[] = [];
      for (const { head, items } of resource.items) {
        const spans = items.slice(Math.max(from - index, 0), Math.max(to - index, 0));
        index += items.length;
        if (spans.length > 0) scopes.push(...nested(TAG_SCOPE_SPANS, [...head, ...spans]));
      }
      if (scopes.length > 0) parts.push(...nested(TAG_RESOURCE_SPANS, [...resource.head, ...scopes]));
    }
    return Buffer.concat(parts);
  }

  /** Cut into requests of at most `maxBytes`, as few as that allows; a span that is larger by itself has one of its own. */
  pieces(maxBytes: number): Slice[] {
    const pieces: Slice[] = [];
    let from = 0;
    let size = this.#headBytes;
    const cut = (to: number): void => {
      if (to > from) pieces.push({ request: this.slice(from, to), spanCount: to - from });
      from = to;
      size = this.#headBytes;
    };
    for (const [index, spanSize] of this.#spanSizes.entries()) {
      if (size + spanSize > maxBytes) cut(index);
      size += spanSize;
    }
    cut(this.#spanSizes.length);
    return pieces;
  }

  /** Cut in the middle, by spans; not possible for fewer than two. */
  halves(): Slice[] {
    const middle = this.spanCount >> 1;
    return [
      { request: this.slice(0, middle), spanCount: middle },
      { request: this.slice(middle, this.spanCount), spanCount: this.spanCount - middle },
    ];
  }
}

/** Part of a request, which is a request as well. */
export interface Slice {
  readonly request: Buffer;
  readonly spanCount: number;
}

/** `read` gets each item of the list, without and with its tag and length. */
function fieldsOf<Item>(
  bytes: Uint8Array,
  list: number,
  read: (item: Uint8Array, field: Uint8Array) => Item,
): Parent<Item> {
  const head: Uint8Array[] = [];
  const items: Item[] = [];
  const reader = new ProtoReader(bytes);
  let start = 0;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === list) {
      const item = reader.message();
      items.push(read(item, bytes.subarray(start, reader.position)));
    } else {
      reader.skip();
      head.push(bytes.subarray(start, reader.position));
    }
    start = reader.position;
  }
  return { head, items };
}

/** A field that holds a message: tag, length and content. */
function nested(tag: number, content: readonly Uint8Array[]): Uint8Array[] {
  let size = 0;
  for (const { length } of content) size += length;
  const head = [tag];
  for (; size >= 0x80; size >>>= 7) head.push((size & 0x7f) | 0x80);
  head.push(size);
  return [Uint8Array.from(head), ...content];
}
