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

/** By instrumentation scope: the conventions its spans follow, by kind. */
const SPANS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'hookline/http': { SERVER: 'http.server', CLIENT: 'http.client' },
  'hookline/http2': { SERVER: 'http.server', CLIENT: 'http.client' },
  'hookline/undici': { CLIENT: 'http.client' },
};

/** What is wrong with a span or with its resource, as the conventions have it; empty when nothing is. */
export function violations(span: ReceivedSpan): string[] {
  const problems: string[] = [];
  const say = (text: string) => problems.push(`${span.scope.name} ${span.kind} ${span.name}: ${text}`);
  for (const [key, value] of Object.entries(span.resource)) checkValue(key, value, say);

  const group = SPANS[span.scope.name]?.[span.kind];
  if (!span.scope.name.startsWith('hookline/') || SPANS[span.scope.name] === undefined) return problems;
  if (group === undefined) return [...problems, `${span.scope.name}: no convention for ${span.kind} spans`];

  const levels = registry.spans[group]!.attributes;
  for (const [key, value] of Object.entries(span.attributes)) {
    const name = checkValue(key, value, say);
    if (name !== undefined && levels[name] === undefined) say(`${key} is not an attribute of ${group}`);
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
