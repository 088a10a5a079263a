import type { Attributes } from '@opentelemetry/api';
import type { Call, Operation, Outcome, Span, Tracing } from '../../hook/instrumentation';
import { CONNECTION_WAIT_TIME, DB_RESPONSE_STATUS_CODE } from '../../semconv';
import { captureParameters } from '../parameters';
import { safeMessage, sqlStateOf } from '../postgres-error';
import { createQueryDescriber, type QueryDescription } from '../query';
import { appendTraceComment } from '../sqlcommenter';
import {
  addStatement,
  addTarget,
  commentFields,
  MAX_TEXT_LENGTH,
  STATUS_ERROR,
  type StatementTarget,
  statementName,
} from '../statement';

const CLIENT = 2;
/** `db.system.name`, and a span's name when nothing else is known. */
const POSTGRESQL = 'postgresql';

/** Where statements go, as the driver understood its configuration; without a port for a Unix domain socket. */
export type Endpoint = StatementTarget;

/** One statement, as handed to the driver. */
export interface Statement {
  readonly text: string | undefined;
  readonly values: readonly unknown[] | undefined;
  /** How long it waited for a connection; `undefined` when it did not. */
  readonly waitMs: number | undefined;
  /** The driver's own Query, whose text may be edited; `undefined`: the text stays as it is. */
  readonly editable: { text: string } | undefined;
  /** Kept from the name to the attributes. */
  description?: QueryDescription | undefined;
}

export type StatementOperation = Operation<Endpoint, [Statement]>;

/** What one statement is called and which attributes it has. */
export function statementOperation(tracing: Tracing): StatementOperation {
  const { querySanitization, captureQueryParameters, sqlCommenter } = tracing.config.pg;
  const describe = createQueryDescriber({ dialect: 'postgresql', maxLength: MAX_TEXT_LENGTH });

  return {
    kind: CLIENT,
    name: ({ self, args: [statement] }) => {
      if (statement.text !== undefined) statement.description = describe(statement.text);
      return statementName(statement.description?.summary, self, POSTGRESQL);
    },
    attributes: ({ self, args: [{ text, values, waitMs, description }] }, blocks) => {
      const attributes: Attributes = {};
      addTarget(blocks, self, POSTGRESQL);
      addStatement(attributes, blocks, text, values !== undefined && values.length > 0, description, querySanitization);
      if (waitMs !== undefined) attributes[CONNECTION_WAIT_TIME] = waitMs / 1000;
      if (captureQueryParameters && values !== undefined) captureParameters(attributes, values);
      return attributes;
    },
    ...(sqlCommenter && { inject: appendComment }),
    end: (span, outcome) => describeFailure(span, outcome, querySanitization === 'never'),
  };
}

function appendComment({ args: [statement] }: Call<Endpoint, [Statement]>, write: WriteFields): void {
  const query = statement.editable;
  if (query === undefined || statement.text === undefined) return;
  query.text = appendTraceComment(statement.text, commentFields(write));
}

type WriteFields = Parameters<NonNullable<Operation['inject']>>[1];

function describeFailure(span: Span, { error }: Outcome, verbatim: boolean): void {
  if (error === undefined) return;
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) span.adopt({ [DB_RESPONSE_STATUS_CODE]: sqlState });
  if (sqlState !== undefined && verbatim) return;
  const failure = error as Parameters<typeof safeMessage>[0];
  const message = sqlState === undefined ? localMessage(failure.message) : safeMessage(failure);
  span.setStatus(message === undefined ? { code: STATUS_ERROR } : { code: STATUS_ERROR, message });
}

/** How libpq's whole report of an error begins, which cites the statement. */
const REPORT = /^[A-Z]+: {2}/;

/**
 * The message of an error that did not come from the server: its first line. Node cites a host that cannot be looked up,
 * and a connection string in the wrong place is taken for one: what stands before an `@` is left out.
 */
function localMessage(message: unknown): string | undefined {
  if (typeof message !== 'string' || message === '' || REPORT.test(message)) return undefined;
  const end = message.indexOf('\n');
  const line = end < 0 ? message : message.slice(0, end);
  if (!line.includes('@')) return line;
  return line
    .split(' ')
    .map((word) => word.slice(word.lastIndexOf('@') + 1))
    .join(' ');
}
