// A collector of a few lines: takes OTLP over HTTP and keeps the spans.
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const PROTO = fileURLToPath(new URL('../../../test/support/proto/opentelemetry.proto', import.meta.url));
const requestType = protobuf.loadSync(PROTO).lookupType('ExportTraceServiceRequest');

/**
 * @typedef {object} DemoSpan
 * @property {string} service
 * @property {string} traceId
 * @property {string} spanId
 * @property {string | undefined} parentSpanId
 * @property {string} name
 * @property {string} kind lower case
 * @property {boolean} failed
 * @property {string} statusMessage
 * @property {number} startUs
 * @property {number} endUs
 * @property {Record<string, unknown>} attributes
 */

/** @returns {Promise<{ url: string, spans: DemoSpan[], onSpans: (listener: () => void) => void, close(): void }>} */
export async function startReceiver() {
  /** @type {DemoSpan[]} */
  const spans = [];
  const listeners = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      spans.push(...decode(Buffer.concat(chunks)));
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    } catch (error) {
      response.writeHead(400).end(String(error));
    }
    for (const listener of listeners) listener();
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    spans,
    onSpans: (listener) => listeners.push(listener),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function decode(bytes) {
  const request = requestType.toObject(requestType.decode(bytes), { longs: String, enums: String, defaults: true });
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(toObject(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => toSpan(span, service)));
  });
}

function toSpan(span, service) {
  return {
    service,
    traceId: toHex(span.traceId),
    spanId: toHex(span.spanId),
    parentSpanId: toHex(span.parentSpanId) || undefined,
    name: span.name,
    kind: span.kind.replace('SPAN_KIND_', '').toLowerCase(),
    failed: span.status?.code === 'STATUS_CODE_ERROR',
    statusMessage: span.status?.message ?? '',
    startUs: Number(BigInt(span.startTimeUnixNano) / 1000n),
    endUs: Number(BigInt(span.endTimeUnixNano) / 1000n),
    attributes: toObject(span.attributes),
  };
}

const toHex = (bytes) => Buffer.from(bytes).toString('hex');

function toObject(keyValues) {
  return Object.fromEntries(keyValues.map(({ key, value }) => [key, toValue(value)]));
}

function toValue({ stringValue, intValue, doubleValue, boolValue, arrayValue } = {}) {
  if (arrayValue) return arrayValue.values.map(toValue);
  return stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue));
}
