import type {
  Span as ApiSpan,
  Attributes,
  AttributeValue,
  Exception,
  HrTime,
  Link,
  SpanContext,
  SpanKind,
  SpanStatus,
  TimeInput,
} from '@opentelemetry/api';
import type { Resource } from '../resource';
import { noteApiFailure } from './api-failure';
import type { AttributeBlock } from './attribute-block';
import {
  captureAttributes,
  captureProperty,
  captureValue,
  cut,
  defineAttribute,
  keysOf,
  safeString,
} from './attributes';
import { type Anchor, compareHrTime, currentAnchor, hrTimeBetween, hrTimeOf, nowMs, toHrTime } from './clock';
import { type SpanIdentity, spanContextOf } from './span-identity';

/** Names longer than this are cut: a span name is for people and for grouping. */
const MAX_NAME_LENGTH = 1024;

/** What made the spans: name, version and schema URL of the instrumentation (specification: instrumentation scope). */
export interface InstrumentationScope {
  readonly name: string;
  readonly version?: string;
  readonly schemaUrl?: string;
}

/** Limits of one span; counts of the specification (sdk-environment-variables.md), lengths in UTF-16 units. */
export interface SpanLimits {
  readonly attributeCountLimit: number;
  readonly attributeValueLengthLimit: number;
  readonly eventCountLimit: number;
  readonly linkCountLimit: number;
  readonly attributePerEventCountLimit: number;
  readonly attributePerLinkCountLimit: number;
}

/** An event as exporters read it. */
export interface SpanEvent {
  readonly name: string;
  readonly time: HrTime;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
}

/** A link as exporters read it. */
export interface SpanLink {
  readonly context: SpanContext;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
  /** The same as `context`, where it is a span that we know by its ids. */
  readonly identity?: SpanIdentity;
}

/** The API's form of the ids is made when somebody asks for it. */
class IdentityLink implements SpanLink {
  readonly attributes: Attributes = {};
  readonly droppedAttributesCount = 0;

  constructor(readonly identity: SpanIdentity) {}

  get context(): SpanContext {
    return this.identity.spanContext();
  }
}

/** Where ended spans go. Called once per span, on the application's stack: it must be quick and must not throw. */
export interface SpanProcessor {
  onEnd(span: Span): void;
}

/** What all spans of one tracer share. */
export interface SpanShared {
  readonly scope: InstrumentationScope;
  readonly resource: Resource;
  readonly limits: SpanLimits;
  readonly processor: SpanProcessor;
}

const UNSET: SpanStatus = { code: 0 };
const NO_EVENTS: readonly SpanEvent[] = [];
/** Of a span that has none yet; never written to. */
const NO_LINKS: SpanLink[] = [];

/**
 * A recording span: the API's Span and, by its getters, the readable view that exporters of SDK 1.x to 3.x know.
 *
 * `attributes` handed to the constructor are adopted, not copied: instrumentations build one literal per span.
 * Times are monotonic milliseconds until somebody reads them; explicit times by the caller are kept exactly.
 */
export class Span implements ApiSpan {
  /** Blocks of attributes, in the order they came; see `addBlock`. Encoders read these and `ownAttributes`. */
  block0: AttributeBlock | undefined = undefined;
  block1: AttributeBlock | undefined = undefined;
  block2: AttributeBlock | undefined = undefined;
  block3: AttributeBlock | undefined = undefined;
  /** The attributes that are in no block. */
  ownAttributes: Attributes;
  status: SpanStatus = UNSET;
  ended = false;
  droppedAttributesCount: number;
  droppedEventsCount = 0;
  droppedLinksCount = 0;
  /** Monotonic milliseconds of the end; meaningful once `ended`. */
  endMs = 0;
  readonly anchor: Anchor = currentAnchor();
  #attributeCount = -1;
  #events: SpanEvent[] | undefined = undefined;
  #links: SpanLink[] = NO_LINKS;
  #explicitStart: HrTime | undefined = undefined;
  #explicitEnd: HrTime | undefined = undefined;

  constructor(
    readonly shared: SpanShared,
    public name: string,
    readonly kind: SpanKind,
    readonly identity: SpanIdentity,
    readonly parent: SpanIdentity | undefined,
    attributes: Attributes,
    /** Monotonic milliseconds of the start. */
    readonly startMs: number = nowMs(),
    droppedAttributesCount = 0,
  ) {
    this.ownAttributes = attributes;
    this.droppedAttributesCount = droppedAttributesCount;
    if (name.length > MAX_NAME_LENGTH) this.name = cut(name, MAX_NAME_LENGTH);
    identity.live = this;
  }

  // The API's Span. The application calls these, and nobody stands in between: what is wrong in us costs what was to be recorded.

  spanContext(): SpanContext {
    return spanContextOf(this.identity);
  }

  isRecording(): boolean {
    return !this.ended;
  }

  setAttribute(key: string, value: AttributeValue): this {
    if (this.ended || typeof key !== 'string' || key === '') return this;
    try {
      const captured = captureValue(value);
      if (captured !== undefined) this.#put(key, captured as AttributeValue);
    } catch (error) {
      noteApiFailure(error);
    }
    return this;
  }

  setAttributes(attributes: Attributes): this {
    if (this.ended || attributes === null || typeof attributes !== 'object') return this;
    try {
      for (const key of keysOf(attributes)) {
        const captured = key === '' ? undefined : captureProperty(attributes, key);
        if (captured !== undefined) this.#put(key, captured as AttributeValue);
      }
    } catch (error) {
      noteApiFailure(error);
    }
    return this;
  }

  addEvent(name: string, attributesOrTime?: Attributes | TimeInput, time?: TimeInput): this {
    if (this.ended) return this;
    try {
      this.#addEvent(name, attributesOrTime, time);
    } catch (error) {
      noteApiFailure(error);
    }
    return this;
  }

  #addEvent(name: string, attributesOrTime: Attributes | TimeInput | undefined, time: TimeInput | undefined): void {
    const limits = this.shared.limits;
    if (limits.eventCountLimit === 0) {
      this.droppedEventsCount++;
      return;
    }
    let when = time;
    let source: Attributes | undefined;
    if (isTimeInput(attributesOrTime)) when ??= attributesOrTime;
    else source = attributesOrTime;
    const [attributes, droppedAttributesCount] = captureAttributes(source, limits.attributePerEventCountLimit);
    this.#events ??= [];
    const events = this.#events;
    if (events.length >= limits.eventCountLimit) {
      events.shift();
      this.droppedEventsCount++;
    }
    events.push({ name: safeString(name), time: this.#timeOf(when), attributes, droppedAttributesCount });
  }

  addLink(link: Link): this {
    try {
      if (this.ended || typeof link?.context?.traceId !== 'string') return this;
      if (!this.#hasRoomForLink()) return this;
      const limit = this.shared.limits.attributePerLinkCountLimit;
      const [attributes, droppedAttributesCount] = captureAttributes(link.attributes, limit);
      this.#links.push({ context: link.context, attributes, droppedAttributesCount });
    } catch (error) {
      noteApiFailure(error);
    }
    return this;
  }

  addLinks(links: Link[]): this {
    try {
      if (Array.isArray(links)) for (const link of links) this.addLink(link);
    } catch (error) {
      noteApiFailure(error);
    }
    return this;
  }

  /** Ok is final, and Unset never replaces anything (specification: Set Status). */
  setStatus(status: SpanStatus): this {
    if (this.ended || status === null || typeof status !== 'object') return this;
    try {
      const { code, message } = status;
      if (code !== 1 && code !== 2) return this;
      if (this.status.code === 1) return this;
      this.status = code === 2 && typeof message === 'string' ? { code, message } : { code };
    } catch (error) {
      noteApiFailure(error);
    }
    return this;
  }

  updateName(name: string): this {
    try {
      if (!this.ended) this.name = cut(safeString(name), MAX_NAME_LENGTH);
    } catch (error) {
      noteApiFailure(error);
    }
    return this;
  }

  recordException(exception: Exception, time?: TimeInput): this {
    if (this.ended) return this;
    try {
      this.#addEvent('exception', describeException(exception), time);
    } catch (error) {
      noteApiFailure(error);
    }
    return this;
  }

  /** Ends once; later calls change nothing. An end before the start is moved to the start. */
  end(endTime?: TimeInput): void {
    try {
      this.finish(endTime);
    } catch (error) {
      noteApiFailure(error);
    }
  }

  // For our own instrumentations: no copy, no check, and what goes wrong is theirs to count.

  /** `end`, which throws what is wrong in the export. */
  finish(endTime?: TimeInput): void {
    if (this.ended) return;
    this.endMs = nowMs();
    if (endTime !== undefined) this.#explicitEnd = hrTimeOf(this.anchor, endTime);
    this.ended = true;
    this.identity.live = undefined;
    this.shared.processor.onEnd(this);
  }

  /** Adds attributes that many spans share. A key of a block must be in no other and is not set before. */
  addBlock(block: AttributeBlock): this {
    if (this.ended) return this;
    this.#attributeCount = -1;
    if (this.block0 === undefined) this.block0 = block;
    else if (this.block1 === undefined) this.block1 = block;
    else if (this.block2 === undefined) this.block2 = block;
    else if (this.block3 === undefined) this.block3 = block;
    else Object.assign(this.ownAttributes, block.attributes);
    return this;
  }

  /** One attribute, wherever it is. */
  getAttribute(key: string): AttributeValue | undefined {
    return (
      this.ownAttributes[key] ??
      this.block0?.attributes[key] ??
      this.block1?.attributes[key] ??
      this.block2?.attributes[key] ??
      this.block3?.attributes[key]
    );
  }

  /** Adds attributes that the caller made for this span. */
  adopt(attributes: Attributes): this {
    if (this.ended) return this;
    if (this.block0 !== undefined) for (const key in attributes) if (this.#isInBlock(key)) this.#dissolveBlocks();
    const own = this.ownAttributes;
    for (const key in attributes) {
      const value = attributes[key];
      if (value !== undefined) own[key] = value;
    }
    // Nobody counts these: there are few of them. Exporters keep to the limit whatever is here.
    this.#attributeCount = -1;
    return this;
  }

  /** Adds a link without attributes. */
  linkTo(identity: SpanIdentity): this {
    if (!this.ended && this.#hasRoomForLink()) this.#links.push(new IdentityLink(identity));
    return this;
  }

  startAt(time: TimeInput): void {
    this.#explicitStart = hrTimeOf(this.anchor, time);
  }

  // The readable view.

  /** All attributes; who asks for them may change them. */
  get attributes(): Attributes {
    if (this.block0 !== undefined) this.#dissolveBlocks();
    return this.ownAttributes;
  }

  get events(): readonly SpanEvent[] {
    return this.#events ?? NO_EVENTS;
  }

  get links(): readonly SpanLink[] {
    return this.#links;
  }

  get startTime(): HrTime {
    return this.#explicitStart ?? toHrTime(this.anchor, this.startMs);
  }

  get endTime(): HrTime {
    if (!this.ended) return [0, 0];
    const start = this.startTime;
    // With an explicit start, the monotonic end may lie before it: a start in the future, or another clock.
    const end = this.#explicitEnd ?? toHrTime(this.anchor, this.endMs);
    return compareHrTime(end, start) < 0 ? start : end;
  }

  /** True when the caller gave no times of its own, so that `startMs` and `endMs` say it all. */
  get isMonotonic(): boolean {
    return this.#explicitStart === undefined && this.#explicitEnd === undefined;
  }

  get duration(): HrTime {
    return hrTimeBetween(this.startTime, this.endTime);
  }

  get resource(): Resource {
    return this.shared.resource;
  }

  get instrumentationScope(): InstrumentationScope {
    return this.shared.scope;
  }

  /** SDK 1.x name of the scope. */
  get instrumentationLibrary(): InstrumentationScope {
    return this.shared.scope;
  }

  get parentSpanContext(): SpanContext | undefined {
    return this.parent?.spanContext();
  }

  /** SDK 1.x form of the parent. */
  get parentSpanId(): string | undefined {
    return this.parent?.spanId;
  }

  /** Counts a link that there is no room for. */
  #hasRoomForLink(): boolean {
    if (this.#links.length >= this.shared.limits.linkCountLimit) {
      this.droppedLinksCount++;
      return false;
    }
    if (this.#links === NO_LINKS) this.#links = [];
    return true;
  }

  #put(key: string, value: AttributeValue): void {
    if (this.block0 !== undefined && this.#isInBlock(key)) this.#dissolveBlocks();
    const attributes = this.ownAttributes;
    if (this.#attributeCount < 0) this.#attributeCount = Object.keys(attributes).length + this.blockCount;
    if (!Object.hasOwn(attributes, key)) {
      if (this.#attributeCount >= this.shared.limits.attributeCountLimit) {
        this.droppedAttributesCount++;
        return;
      }
      this.#attributeCount++;
    }
    defineAttribute(attributes, key, value);
  }

  /** How many attributes are in blocks. */
  get blockCount(): number {
    const { block0, block1, block2, block3 } = this;
    if (block0 === undefined) return 0;
    return block0.count + (block1?.count ?? 0) + (block2?.count ?? 0) + (block3?.count ?? 0);
  }

  #isInBlock(key: string): boolean {
    const { block0, block1, block2, block3 } = this;
    return (
      (block0 !== undefined && Object.hasOwn(block0.attributes, key)) ||
      (block1 !== undefined && Object.hasOwn(block1.attributes, key)) ||
      (block2 !== undefined && Object.hasOwn(block2.attributes, key)) ||
      (block3 !== undefined && Object.hasOwn(block3.attributes, key))
    );
  }

  /** Blocks are other spans' as well: what reads or changes this span's attributes as one object gets a copy. */
  #dissolveBlocks(): void {
    const { block0, block1, block2, block3 } = this;
    this.ownAttributes = {
      ...block0?.attributes,
      ...block1?.attributes,
      ...block2?.attributes,
      ...block3?.attributes,
      ...this.ownAttributes,
    };
    this.block0 = undefined;
    this.block1 = undefined;
    this.block2 = undefined;
    this.block3 = undefined;
    this.#attributeCount = -1;
  }

  #timeOf(time: TimeInput | undefined): HrTime {
    return (time === undefined ? undefined : hrTimeOf(this.anchor, time)) ?? toHrTime(this.anchor, nowMs());
  }
}

/** Attributes of an exception event. Anything can be thrown, also an object whose getters throw: the rest is then left out. */
function describeException(exception: unknown): Attributes {
  const attributes: Attributes = {};
  if (typeof exception === 'string') {
    attributes['exception.message'] = exception;
  } else if (typeof exception === 'object' && exception !== null) {
    try {
      const { code, name, message, stack } = exception as Record<'code' | 'name' | 'message' | 'stack', unknown>;
      if (code !== undefined && code !== null) attributes['exception.type'] = String(code);
      else if (typeof name === 'string') attributes['exception.type'] = name;
      if (typeof message === 'string') attributes['exception.message'] = message;
      if (typeof stack === 'string') attributes['exception.stacktrace'] = stack;
    } catch {
      // What was read before the getter threw is kept.
    }
  }
  return attributes;
}

function isTimeInput(value: unknown): value is TimeInput {
  return typeof value === 'number' || value instanceof Date || Array.isArray(value);
}
