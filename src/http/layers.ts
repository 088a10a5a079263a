import type { Operation, Tracing } from '../hook/instrumentation';
import { CODE_FUNCTION_NAME, HTTP_ROUTE } from '../semconv';
import { beforeEnd } from './route';

const INTERNAL = 0;

/** A function of the application's that takes part in answering a request. */
export interface Layer {
  /** `handler /users/:id`, `middleware cors`. */
  readonly name: string;
  readonly fn: unknown;
  readonly route: string | undefined;
}

/** The span of a layer, where the operator asked for such spans. */
export const layerOperation: Operation<Layer, []> = {
  kind: INTERNAL,
  name: ({ self }) => self.name,
  attributes: ({ self: { fn, route } }) => ({ [CODE_FUNCTION_NAME]: functionName(fn), [HTTP_ROUTE]: route }) as never,
};

/** `undefined` for a function without a name. */
export function functionName(fn: unknown): string | undefined {
  const name = typeof fn === 'function' ? fn.name : undefined;
  return typeof name === 'string' && name !== '' && name !== '<anonymous>' ? name : undefined;
}

type Next = (this: unknown, error?: unknown, ...rest: unknown[]) => unknown;

/**
 * Runs a layer that is given `next` as its last argument, in a span: until it calls that, with an error or without, or
 * until the response is over. What comes next is no child of it.
 */
export function runLayer(
  tracing: Tracing,
  layer: Layer,
  request: object,
  original: (...args: never[]) => unknown,
  self: unknown,
  args: unknown[],
): unknown {
  const begun = tracing.begin(layerOperation, { self: layer, args: [] });
  const last = args.length - 1;
  const next = args[last] as Next;
  if (begun?.span === undefined || typeof next !== 'function') return Reflect.apply(original, self, args as never);
  const caller = tracing.active();
  const given = args.slice();
  given[last] = function (this: unknown, ...results: unknown[]): unknown {
    const [error] = results;
    begun.done(isSignal(error) ? undefined : (error ?? undefined));
    return tracing.run(caller, next as never, this, results);
  };
  tracing.guard(() => beforeEnd(request, () => begun.done()));
  try {
    return tracing.run(begun.context, original, self, given);
  } catch (error) {
    begun.done(error);
    throw error;
  }
}

/** What `next` takes to leave a route or a router; no error. */
function isSignal(error: unknown): boolean {
  return error === 'route' || error === 'router';
}
