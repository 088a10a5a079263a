import type { EndpointProtocol } from './endpoint';
import { toOtlpJson } from './otlp-json';
import { ProtoReader } from './protobuf';
import { toZipkinJson } from './zipkin';

/** What a collector that took only some of a batch says. */
export interface PartialSuccess {
  readonly rejectedSpans: number;
  readonly message: string;
}

/** What differs between the protocols that post batches over HTTP. */
export interface HttpFormat {
  readonly protocol: EndpointProtocol;
  readonly contentType: string;
  /** From the binary OTLP request that batches are held as; `undefined` where that is what is sent. */
  readonly encode: ((request: Buffer) => Buffer) | undefined;
  /** Reads the body of a 2xx answer. Anything unreadable counts as full success. Never throws. */
  readPartial(body: Uint8Array | undefined): PartialSuccess;
  /** What to look at when the collector refuses a batch with this status; empty when there is nothing to say. */
  statusHint(status: number): string;
}

const FULL_SUCCESS: PartialSuccess = { rejectedSpans: 0, message: '' };

/** OTLP/HTTP with binary protobuf (opentelemetry-proto, docs/specification.md, "OTLP/HTTP"). */
export const OTLP_PROTOBUF: HttpFormat = {
  protocol: 'http',
  contentType: 'application/x-protobuf',
  encode: undefined,
  readPartial: decodePartialSuccess,
  statusHint: (status) => otlpHint(status, 'application/x-protobuf'),
};

/** OTLP/HTTP with JSON. */
export const OTLP_JSON: HttpFormat = {
  protocol: 'http',
  contentType: 'application/json',
  encode: toOtlpJson,
  readPartial: parsePartialSuccess,
  statusHint: (status) => otlpHint(status, 'application/json'),
};

/** OTLP/gRPC (opentelemetry-proto, docs/specification.md, "OTLP/gRPC"). */
export const OTLP_GRPC: HttpFormat = {
  protocol: 'grpc',
  contentType: 'application/grpc',
  encode: undefined,
  readPartial: decodePartialSuccess,
  statusHint: (status) =>
    status === 404
      ? ' (does it take OTLP over gRPC on this port? It is usually 4317)'
      : commonHint(status, ' (see OTEL_EXPORTER_OTLP_HEADERS)'),
};

/** Zipkin's `POST /api/v2/spans`: all of a batch or nothing. */
export const ZIPKIN_JSON: HttpFormat = {
  protocol: 'http',
  contentType: 'application/json',
  encode: toZipkinJson,
  readPartial: () => FULL_SUCCESS,
  statusHint: (status) =>
    status === 404 ? ' (is the path right? It usually ends in /api/v2/spans)' : commonHint(status, ''),
};

function otlpHint(status: number, contentType: string): string {
  if (status === 404) return ' (is the path right? It usually ends in /v1/traces)';
  if (status === 400 || status === 415) return ` (does it take OTLP as ${contentType}?)`;
  return commonHint(status, ' (see OTEL_EXPORTER_OTLP_HEADERS)');
}

function commonHint(status: number, credentialsHint: string): string {
  if (status === 401 || status === 403) return credentialsHint;
  if (status >= 300 && status < 400) return ' (redirects are not followed: set the final URL)';
  return '';
}

/** ExportTraceServiceResponse.partial_success (collector/trace/v1) in binary. */
export function decodePartialSuccess(body: Uint8Array | undefined): PartialSuccess {
  if (body === undefined || body.length === 0) return FULL_SUCCESS;
  let rejectedSpans = 0;
  let message = '';
  try {
    const response = new ProtoReader(body);
    for (let field = response.next(); field !== 0; field = response.next()) {
      if (field !== 1) {
        response.skip();
        continue;
      }
      const partial = new ProtoReader(response.message());
      for (let inner = partial.next(); inner !== 0; inner = partial.next()) {
        if (inner === 1) rejectedSpans = partial.number();
        else if (inner === 2) message = partial.text();
        else partial.skip();
      }
    }
  } catch {
    return FULL_SUCCESS;
  }
  // A negative int64 reads as a huge number; nothing sensible can be made of it.
  return { rejectedSpans: rejectedSpans <= Number.MAX_SAFE_INTEGER ? rejectedSpans : 0, message };
}

/** The same as JSON: int64 as a string, or as a number where a collector takes it easy. */
export function parsePartialSuccess(body: Uint8Array | undefined): PartialSuccess {
  if (body === undefined || body.length === 0) return FULL_SUCCESS;
  try {
    const { partialSuccess } = JSON.parse(Buffer.from(body).toString('utf8')) as {
      partialSuccess?: { rejectedSpans?: unknown; errorMessage?: unknown };
    };
    const rejectedSpans = Number(partialSuccess?.rejectedSpans ?? 0);
    const message = partialSuccess?.errorMessage;
    return {
      rejectedSpans: Number.isSafeInteger(rejectedSpans) && rejectedSpans > 0 ? rejectedSpans : 0,
      message: typeof message === 'string' ? message : '',
    };
  } catch {
    return FULL_SUCCESS;
  }
}
