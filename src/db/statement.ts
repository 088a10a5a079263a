/** What spans of statements have in common, whichever database they go to. */
import type { QuerySanitization } from '../config';
import type { FieldSetter } from '../hook/instrumentation';
import { cutText, type QueryDescription } from './query';
import type { CommentField } from './sqlcommenter';

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

/** `db.query.text`; `undefined` when there is none. `hasValues`: values came beside the text, so that it is a template. */
export function statementText(
  text: string | undefined,
  hasValues: boolean,
  description: QueryDescription | undefined,
  sanitization: QuerySanitization,
): string | undefined {
  if (!text) return undefined;
  const verbatim = sanitization === 'never' || (sanitization === 'auto' && hasValues);
  return (verbatim ? cutText(text, MAX_TEXT_LENGTH) : description?.sanitized) || undefined;
}

/** The trace context for a comment in the SQL. Baggage is the application's data and not for a database's logs. */
export function commentFields(write: (set: FieldSetter) => void): CommentField[] {
  const fields: CommentField[] = [];
  write((name, value) => {
    if (name === 'traceparent' || name === 'tracestate') fields.push([name, value]);
  });
  return fields;
}
