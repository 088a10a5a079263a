import { describe, expect, it } from 'vitest';
import { SlicedRequest } from '../../src/export/split';
import { namedRequest, namesOf, requestOf, richSpan } from './requests';
import { type Decoded, decode, encode } from './support';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** Spans with what they belong to, whatever the order of scopes is. */
function flat(...requests: Uint8Array[]): string[] {
  return requests
    .flatMap((request) => decode('ExportTraceServiceRequest', request).resourceSpans ?? [])
    .flatMap(({ scopeSpans, ...resource }: Decoded) =>
      scopeSpans.flatMap(({ spans, ...scope }: Decoded) =>
        spans.map((span: Decoded) => JSON.stringify({ resource, scope, span })),
      ),
    )
    .sort();
}

describe('a request that is cut', () => {
  it('counts its spans', () => {
    expect(new SlicedRequest(namedRequest(NAMES)).spanCount).toBe(7);
    expect(new SlicedRequest(Buffer.alloc(0)).spanCount).toBe(0);
  });

  it('says the same in parts, wherever it is cut', () => {
    const request = Buffer.concat([namedRequest(NAMES), requestOf(richSpan({ list: ['x'] }))]);
    const sliced = new SlicedRequest(request);
    expect(sliced.spanCount).toBe(8);
    const whole = flat(request);
    for (let at = 0; at <= 8; at++) expect(flat(sliced.slice(0, at), sliced.slice(at, 8))).toEqual(whole);
  });

  it('has no empty resources and scopes', () => {
    const sliced = new SlicedRequest(namedRequest(NAMES));
    expect(sliced.slice(3, 3)).toHaveLength(0);
    const { resourceSpans } = decode('ExportTraceServiceRequest', sliced.slice(0, 1));
    expect(resourceSpans).toHaveLength(1);
    expect(resourceSpans[0].scopeSpans).toHaveLength(1);
    expect(resourceSpans[0]).toMatchObject({ schemaUrl: 'https://schema.test/2' });
  });

  it('keeps fields that it does not know', () => {
    const span = { traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 1), name: 'a' };
    const unknown = Buffer.from([0xfa, 0x07, 0x03, 1, 2, 3]);
    const scopeSpans = Buffer.concat([encode('ScopeSpans', { spans: [span, span] }), unknown]);
    const field = (tag: number, bytes: Buffer): Buffer => Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
    const request = field(0x0a, field(0x12, scopeSpans));
    for (const half of new SlicedRequest(request).halves()) {
      expect(half.spanCount).toBe(1);
      expect(half.request.includes(unknown)).toBe(true);
    }
  });

  it('is cut in the middle, by spans', () => {
    const halves = new SlicedRequest(namedRequest(NAMES)).halves();
    expect(halves.map(({ spanCount }) => spanCount)).toEqual([3, 4]);
    expect(halves.map(({ request }) => namesOf(request).length)).toEqual([3, 4]);
  });

  it.each([600, 1_000, 2_000, 5_000, 20_000])('into pieces of at most %i bytes', (maxBytes) => {
    const request = namedRequest(NAMES, 300);
    const pieces = new SlicedRequest(request).pieces(maxBytes);
    for (const piece of pieces) {
      expect(piece.request.length).toBeLessThanOrEqual(maxBytes);
      expect(namesOf(piece.request)).toHaveLength(piece.spanCount);
    }
    expect(flat(...pieces.map((piece) => piece.request))).toEqual(flat(request));
    if (maxBytes === 20_000) expect(pieces).toHaveLength(1);
  });

  it('leaves a span that is too large by itself on its own', () => {
    const pieces = new SlicedRequest(namedRequest(NAMES, 300)).pieces(100);
    expect(pieces.map(({ spanCount }) => spanCount)).toEqual([1, 1, 1, 1, 1, 1, 1]);
  });

  it('has long lengths where it is long', () => {
    const request = namedRequest(NAMES, 400_000);
    const halves = new SlicedRequest(request).halves();
    expect(flat(...halves.map((half) => half.request))).toEqual(flat(request));
  });

  it('is refused when it is cut off', () => {
    const request = namedRequest(NAMES);
    expect(() => new SlicedRequest(request.subarray(0, request.length - 1))).toThrow(RangeError);
  });
});
