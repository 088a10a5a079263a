import { expect } from 'vitest';
import type { ReceivedSpan, SpanKind, StatusCode } from './otlp-decode';

export interface SpanNode {
  span: ReceivedSpan;
  /** By start time. */
  children: SpanNode[];
}

export interface ExpectedSpan {
  name: string | RegExp | Matcher;
  kind?: SpanKind;
  /** Values compare exactly; a `Matcher` or one of vitest's stands for what differs between runs; `undefined`: absent. */
  attributes?: Record<string, unknown>;
  /** `attributes` is the whole set. */
  exactAttributes?: boolean;
  /** A bare code says nothing about the message; in an object none is the same as an empty one, as it is on the wire. */
  status?: StatusCode | { code: StatusCode; message?: unknown };
  /** Instrumentation scope name. */
  scope?: string;
  /** Names with attributes, in order; when given, these are all. */
  events?: { name: string; attributes?: Record<string, unknown> }[];
  /** Default none: a span that nobody expected is a failure. */
  children?: ExpectedSpan[];
}

/** Stands in an expectation for a value that differs between runs. Works wherever vitest's own matchers do. */
export class Matcher {
  readonly $$typeof = Symbol.for('jest.asymmetricMatcher');
  // No #private fields: vitest copies what it shows in a difference, and a copy has to match as well.
  readonly description: string;
  readonly accepts: (value: unknown) => boolean;

  constructor(description: string, accepts: (value: unknown) => boolean) {
    this.description = description;
    this.accepts = accepts;
  }

  asymmetricMatch(value: unknown): boolean {
    return this.accepts(value);
  }

  toString(): string {
    return this.description;
  }

  toAsymmetricMatcher(): string {
    return this.description;
  }

  getExpectedType(): string {
    return 'unknown';
  }
}

const isPort = (value: unknown) => Number.isInteger(value) && Number(value) > 0 && Number(value) < 65536;

export const anyPort = new Matcher('any port', isPort);
export const anyPid = new Matcher('any pid', (value) => Number.isInteger(value) && Number(value) > 0);
export const anyText = new Matcher('any text', (value) => typeof value === 'string' && value !== '');
/** The loopback address of either family, as a socket reports it. */
export const loopback = new Matcher('loopback address', (value) => value === '127.0.0.1' || value === '::1');

export function matching(pattern: RegExp): Matcher {
  return new Matcher(String(pattern), (value) => typeof value === 'string' && pattern.test(value));
}

/** `withAnyPort('http://localhost:*' + '/orders')`: the one `*` stands for a port. */
export function withAnyPort(text: string): Matcher {
  const [before = '', after = ''] = text.split('*');
  return new Matcher(text, (value) => {
    if (typeof value !== 'string' || !value.startsWith(before) || !value.endsWith(after)) return false;
    const port = value.slice(before.length, value.length - after.length);
    return /^\d+$/.test(port) && isPort(Number(port));
  });
}

/** Roots, which are spans whose parent is not among the given ones, and their descendants; siblings by start time. */
export function toTree(spans: readonly ReceivedSpan[]): SpanNode[] {
  const key = (traceId: string, spanId: string | undefined) => `${traceId}-${spanId}`;
  const nodes = new Map<string, SpanNode>();
  for (const span of [...spans].sort(byStart)) {
    const id = key(span.traceId, span.spanId);
    if (nodes.has(id)) throw new Error(`span ${span.name} (${id}) was received twice`);
    nodes.set(id, { span, children: [] });
  }
  const roots: SpanNode[] = [];
  for (const node of nodes.values()) {
    const parent = nodes.get(key(node.span.traceId, node.span.parentSpanId));
    (parent?.children ?? roots).push(node);
  }
  return roots;
}

/** The spans as an indented outline, for messages and snapshots. */
export function formatTree(spans: readonly ReceivedSpan[]): string {
  const lines: string[] = [];
  const visit = (node: SpanNode, indent: string) => {
    const { kind, name, status } = node.span;
    lines.push(`${indent}${kind} ${name}${status.code === 'UNSET' ? '' : ` [${status.code}]`}`);
    for (const child of node.children) visit(child, `${indent}  `);
  };
  for (const node of toTree(spans)) visit(node, '');
  return lines.join('\n');
}

/**
 * Compares all the given spans with the expected roots (one, or several in order of their start).
 * @param options.exactAttributes the default for every node
 */
export function expectTree(
  spans: readonly ReceivedSpan[],
  expected: ExpectedSpan | ExpectedSpan[],
  options: { exactAttributes?: boolean } = {},
): void {
  const wanted = Array.isArray(expected) ? expected : [expected];
  const outline = formatTree(spans) || '(no spans)';
  const exact = options.exactAttributes ?? false;
  // Both sides get only what the expectation speaks about, so that a difference is shown and nothing else is.
  expect(describeActual(toTree(spans), wanted, exact), `received:\n${outline}\n`).toEqual(
    describeExpected(wanted, exact),
  );
}

function describeExpected(expected: ExpectedSpan[], exact: boolean): unknown[] {
  return expected.map((node) => ({
    name: node.name instanceof RegExp ? matching(node.name) : node.name,
    ...(node.kind && { kind: node.kind }),
    ...(node.scope && { scope: node.scope }),
    ...(node.status && {
      status:
        typeof node.status === 'string'
          ? { code: node.status }
          : { code: node.status.code, message: node.status.message ?? '' },
    }),
    ...(needsAttributes(node, exact) && { attributes: node.attributes ?? {} }),
    ...(node.events && { events: node.events }),
    children: describeExpected(node.children ?? [], exact),
  }));
}

function describeActual(actual: SpanNode[], expected: ExpectedSpan[], exact: boolean): unknown[] {
  return actual.map(({ span, children }, index) => {
    const node = expected[index];
    // One too many: say what it is.
    if (!node) return { name: span.name, kind: span.kind, children: describeActual(children, [], exact) };
    return {
      name: span.name,
      ...(node.kind && { kind: span.kind }),
      ...(node.scope && { scope: span.scope.name }),
      ...(node.status && {
        status: typeof node.status === 'string' ? { code: span.status.code } : { message: '', ...span.status },
      }),
      ...(needsAttributes(node, exact) && {
        attributes: (node.exactAttributes ?? exact) ? span.attributes : pick(span.attributes, node.attributes ?? {}),
      }),
      ...(node.events && {
        events: span.events.map(({ name, attributes }, at) => {
          const wanted = node.events?.[at]?.attributes;
          return { name, ...(wanted && { attributes: pick(attributes, wanted) }) };
        }),
      }),
      children: describeActual(children, node.children ?? [], exact),
    };
  });
}

function needsAttributes(node: ExpectedSpan, exact: boolean): boolean {
  return node.attributes !== undefined || (node.exactAttributes ?? exact);
}

function pick(values: Record<string, unknown>, keys: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(keys).map((key) => [key, values[key]]));
}

function byStart(a: ReceivedSpan, b: ReceivedSpan): number {
  const compare = <T extends bigint | string>(x: T, y: T) => (x < y ? -1 : x > y ? 1 : 0);
  return (
    compare(a.startTimeUnixNano, b.startTimeUnixNano) ||
    compare(a.endTimeUnixNano, b.endTimeUnixNano) ||
    compare(a.name, b.name)
  );
}
