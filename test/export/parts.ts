import type { Attributes } from '@opentelemetry/api';
import type { BatchConfig, OtlpConfig } from '../../src/config';
import type { Resource } from '../../src/resource';
import { type InstrumentationScope, Span, type SpanLimits, type SpanProcessor } from '../../src/trace/span';
import { FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';

export const LIMITS: SpanLimits = {
  attributeCountLimit: 128,
  attributeValueLengthLimit: 16_384,
  eventCountLimit: 128,
  linkCountLimit: 128,
  attributePerEventCountLimit: 128,
  attributePerLinkCountLimit: 128,
};

export const BATCH: BatchConfig = {
  scheduleDelayMs: 60_000,
  exportTimeoutMs: 5_000,
  maxQueueSize: 2_048,
  maxExportBatchSize: 512,
};

export function otlpConfig(url: string, changes: Partial<OtlpConfig> = {}): OtlpConfig {
  return {
    protocol: 'http/protobuf',
    url,
    headers: {},
    timeoutMs: 5_000,
    compression: 'none',
    certificateFile: undefined,
    clientCertificateFile: undefined,
    clientKeyFile: undefined,
    ...changes,
  };
}

export function makeResource(attributes: Attributes = { 'service.name': 'test' }, schemaUrl?: string): Resource {
  const resource: Resource = {
    attributes,
    ...(schemaUrl === undefined ? {} : { schemaUrl }),
    asyncAttributesPending: false,
    waitForAsyncAttributes: async () => {},
    getRawAttributes: () => Object.entries(attributes),
    merge: () => resource,
  };
  return resource;
}

export const SCOPE: InstrumentationScope = { name: 'test-scope', version: '1.2.3', schemaUrl: 'https://schema.test/1' };
const RESOURCE = makeResource();

export interface SpanParts {
  name?: string;
  kind?: number;
  attributes?: Attributes;
  parent?: SpanIdentity;
  identity?: SpanIdentity;
  startMs?: number;
  scope?: InstrumentationScope;
  resource?: Resource;
  limits?: Partial<SpanLimits>;
  processor?: SpanProcessor;
}

/** A span that has started; `end()` sends it to `processor`. */
export function startSpan(parts: SpanParts = {}): Span {
  const { parent } = parts;
  const identity =
    parts.identity ??
    (parent === undefined ? SpanIdentity.root(true, undefined) : SpanIdentity.child(parent, true, undefined));
  identity.flags |= FLAG_SAMPLED;
  const shared = {
    scope: parts.scope ?? SCOPE,
    resource: parts.resource ?? RESOURCE,
    limits: { ...LIMITS, ...parts.limits },
    processor: parts.processor ?? { onEnd: () => {} },
  };
  return new Span(
    shared,
    parts.name ?? 'a span',
    parts.kind ?? 0,
    identity,
    parent,
    parts.attributes ?? {},
    parts.startMs,
  );
}

/** Waits until `condition` holds; fails after ten seconds, far more than anything tested needs. */
export async function until(condition: () => boolean, what = 'condition'): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
