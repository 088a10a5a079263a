/**
 * `graphql` 15 and 16: the type and name of the operation on the span of the server that runs it. The name of the span stays
 * that of the route: what an operation is called is the client's to choose.
 */

import type { Instrumentation, Tracing } from '../src/hook/instrumentation';
import { serverSpanAbove } from '../src/http/route';
import { GRAPHQL_OPERATION_NAME, GRAPHQL_OPERATION_TYPE } from '../src/semconv';

export default {
  name: 'graphql',
  targets: [{ module: 'graphql', versions: '>=15.0.0 <17', file: 'execution/execute.js', patch: patchExecute }],
} satisfies Instrumentation;

interface Definition {
  readonly kind: string;
  readonly operation: string;
  readonly name?: { readonly value: string };
}

function patchExecute(exports: object, tracing: Tracing): void {
  tracing.replace(exports, 'execute', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      if (!tracing.off) tracing.guard(() => describe(args, tracing));
      return Reflect.apply(original, this, args);
    };
  });
}

/** Of `execute({ document, operationName })`; graphql 15 takes them one by one as well. */
function describe(args: unknown[], tracing: Tracing): void {
  const span = serverSpanAbove(tracing.active());
  if (span === undefined) return;
  const [first] = args as [{ document?: unknown; operationName?: unknown } | undefined];
  const document = args.length === 1 ? first?.document : first;
  const wanted = args.length === 1 ? first?.operationName : args[5];
  const { definitions } = (document ?? {}) as { definitions?: readonly Definition[] };
  if (!Array.isArray(definitions)) return;
  const operations = (definitions as readonly Definition[]).filter(({ kind }) => kind === 'OperationDefinition');
  const operation = typeof wanted === 'string' ? operations.find(({ name }) => name?.value === wanted) : operations[0];
  if (operation === undefined) return;
  span.adopt({
    [GRAPHQL_OPERATION_TYPE]: operation.operation,
    ...(operation.name !== undefined && { [GRAPHQL_OPERATION_NAME]: operation.name.value }),
  });
}
