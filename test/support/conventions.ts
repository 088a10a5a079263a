import data from './conventions.json';
import type { ReceivedSpan } from './otlp-decode';

/**
 * The part of the semantic conventions' registry that we emit (release in the file): types, enums, and which attributes
 * a span of each kind must have. Enum values are open in the conventions, except where the span's own page says MUST.
 */
interface Registry {
  readonly attributes: Readonly<Record<string, { type: string; template?: boolean; enum?: readonly unknown[] }>>;
  readonly spans: Readonly<Record<string, { kind: string; attributes: Readonly<Record<string, string>> }>>;
}

const registry = data as Registry;
const templates = Object.keys(registry.attributes).filter((key) => registry.attributes[key]!.template);

/** By instrumentation scope: the conventions its spans follow, by kind, and by type of operation where a kind has several. */
const SPANS: Readonly<Record<string, Readonly<Record<string, string | Readonly<Record<string, string>>>>>> = {
  'hookline/http': { SERVER: 'http.server', CLIENT: 'http.client' },
  'hookline/http2': { SERVER: 'http.server', CLIENT: 'http.client' },
  'hookline/undici': { CLIENT: 'http.client' },
  'hookline/pg': { CLIENT: 'db.postgresql.client' },
  'hookline/mysql2': { CLIENT: 'db.mysql.client' },
  'hookline/amqplib': {
    PRODUCER: 'messaging.rabbitmq.send.producer',
    CONSUMER: 'messaging.rabbitmq.process.consumer',
    CLIENT: { receive: 'messaging.rabbitmq.receive.client', settle: 'messaging.rabbitmq.settle.client' },
  },
  'hookline/grpc': { CLIENT: 'rpc.grpc.call.client', SERVER: 'rpc.grpc.call.server' },
};

/** gRPC status codes that are failures on the server; on the client all but OK are. */
const SERVER_FAILURES = ['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'];

/** What is wrong with a span or with its resource, as the conventions have it; empty when nothing is. */
export function violations(span: ReceivedSpan): string[] {
  const problems: string[] = [];
  const say = (text: string) => problems.push(`${span.scope.name} ${span.kind} ${span.name}: ${text}`);
  for (const [key, value] of Object.entries(span.resource)) checkValue(key, value, say);

  const ofKind = SPANS[span.scope.name]?.[span.kind];
  const group = typeof ofKind === 'object' ? ofKind[String(span.attributes['messaging.operation.type'])] : ofKind;
  if (!span.scope.name.startsWith('hookline/') || SPANS[span.scope.name] === undefined) return problems;
  if (group === undefined) return [...problems, `${span.scope.name}: no convention for ${span.kind} spans`];

  const levels = registry.spans[group]!.attributes;
  for (const [key, value] of Object.entries(span.attributes)) {
    const name = checkValue(key, value, say);
    // What runs inside of a request is described by attributes of its own.
    const isOurs = key.startsWith('hookline.') || key.startsWith('graphql.operation.');
    if (name !== undefined && levels[name] === undefined && !isOurs) say(`${key} is not an attribute of ${group}`);
  }
  // A call that threw on its arguments went nowhere: there is no target to describe.
  const wentNowhere = String(span.attributes['error.type'] ?? '').startsWith('ERR_');
  for (const [key, level] of Object.entries(levels)) {
    if (level === 'required' && span.attributes[key] === undefined && !wentNowhere) say(`${key} is required`);
  }

  const status = span.attributes['http.response.status_code'];
  const failed = span.status.code === 'ERROR';
  if (span.status.code === 'OK') say('status is never OK');
  if (failed !== (span.attributes['error.type'] !== undefined)) say('error status and error.type come together');
  const bound = span.kind === 'SERVER' ? 500 : 400;
  if (typeof status === 'number' && status >= bound && !failed) say(`status ${status} is an error`);
  const code = span.attributes['rpc.response.status_code'];
  if (typeof code === 'string') {
    const isFailure = span.kind === 'SERVER' ? SERVER_FAILURES.includes(code) : code !== 'OK';
    if (isFailure !== failed) say(`status ${code} ${isFailure ? 'is an error' : 'is none'}`);
  }
  if (span.attributes['db.response.status_code'] !== undefined && !failed) say('a database error is an error');
  if (span.scope.version === undefined || span.scope.schemaUrl === undefined)
    say('scope without version or schema URL');
  return problems;
}

/** Checks the type of one value; returns the key, or the template it is made from, when the registry has it. */
function checkValue(key: string, value: unknown, say: (text: string) => void): string | undefined {
  const name =
    registry.attributes[key] === undefined ? templates.find((template) => key.startsWith(`${template}.`)) : key;
  if (name === undefined) return key;
  const { type, enum: known } = registry.attributes[name]!;
  if (!isOfType(value, type)) say(`${key} is ${JSON.stringify(value)} and not of type ${type}`);
  if (name === 'http.request.method' && !known!.includes(value))
    say(`${key} is ${String(value)} and not a known method`);
  return name;
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'int') return Number.isSafeInteger(value);
  if (type === 'string[]') return Array.isArray(value) && value.every((item) => typeof item === 'string');
  return type === 'any' || typeof value === type;
}
