/** What spans of statements have in common, whichever database they go to. */
import type { Attributes } from '@opentelemetry/api';
import type { QuerySanitization } from '../config';
import type { AttributeBlocks, FieldSetter } from '../hook/instrumentation';
import { createStamp } from '../hook/stamp';
import { DB_NAMESPACE, DB_QUERY_SUMMARY, DB_QUERY_TEXT, DB_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT } from '../semconv';
import { AttributeBlock } from '../trace/attribute-block';
import type { QueryDescription } from './query';
import type { CommentField } from './sqlcommenter';
import { cutText } from './text';

/** Longest `db.query.text`, in UTF-16 units; what lies beyond is not looked at either. */
export const MAX_TEXT_LENGTH = 8192;

/** The API's status code of a failure. */
export const STATUS_ERROR = 2;

/** Where a statement goes; each `undefined` when not known. */
export interface StatementTarget {
  readonly database: string | undefined;
  readonly address: string | undefined;
  readonly port: number | undefined;
}

/** The summary, else what the conventions have next: the database, the server, the system. */
export function statementName(
  summary: string | undefined,
  target: StatementTarget | undefined,
  system: string,
): string {
  if (summary) return summary;
  const { database, address, port } = target ?? {};
  if (database !== undefined) return database;
  if (address === undefined) return system;
  return port === undefined ? address : `${address}:${port}`;
}

const blockOf = createStamp<AttributeBlock>();

/** Adds `db.system.name` and where statements go. A target is one connection's or more, so each keeps its block. */
export function addTarget(blocks: AttributeBlocks, target: StatementTarget, system: string): void {
  let block = blockOf.get(target);
  if (block === undefined) {
    block = new AttributeBlock({
      [DB_SYSTEM_NAME]: system,
      [DB_NAMESPACE]: target.database,
      [SERVER_ADDRESS]: target.address,
      [SERVER_PORT]: target.port,
    });
    blockOf.set(target, block);
  }
  blocks.add(block);
}

/** Adds `db.query.text` and `db.query.summary`. `hasValues`: values came beside the text, so that it is a template. */
export function addStatement(
  attributes: Attributes,
  blocks: AttributeBlocks,
  text: string | undefined,
  hasValues: boolean,
  description: QueryDescription | undefined,
  sanitization: QuerySanitization,
): void {
  const block = text ? description?.block(isVerbatim(hasValues, sanitization)) : undefined;
  if (block !== undefined) {
    blocks.add(block);
    return;
  }
  attributes[DB_QUERY_TEXT] = statementText(text, hasValues, description, sanitization);
  attributes[DB_QUERY_SUMMARY] = description?.summary || undefined;
}

/** `db.query.text`; `undefined` when there is none. */
export function statementText(
  text: string | undefined,
  hasValues: boolean,
  description: QueryDescription | undefined,
  sanitization: QuerySanitization,
): string | undefined {
  if (!text) return undefined;
  return (isVerbatim(hasValues, sanitization) ? cutText(text, MAX_TEXT_LENGTH) : description?.sanitized) || undefined;
}

function isVerbatim(hasValues: boolean, sanitization: QuerySanitization): boolean {
  return sanitization === 'never' || (sanitization === 'auto' && hasValues);
}

/** The trace context for a comment in the SQL. Baggage is the application's data and not for a database's logs. */
export function commentFields(write: (set: FieldSetter) => void): CommentField[] {
  const fields: CommentField[] = [];
  write((name, value) => {
    if (name === 'traceparent' || name === 'tracestate') fields.push([name, value]);
  });
  return fields;
}
