import type { Begun, Operation, Tracing } from '../hook/instrumentation';
import { CODE_FUNCTION_NAME, HTTP_ROUTE } from '../semconv';
import { beforeEnd } from './route';

const INTERNAL = 0;

/** A function of the application's that takes part in answering a request. */
export interface Layer {
  /** `handler /users/:id`, `middleware cors`. */
  readonly name: string;
  readonly fn: unknown;
  readonly route: string | undefined;
  /** It waits for what comes next, as in koa and hono, which is below it then. */
  readonly around?: boolean;
  /** The error in what its promise resolves to, where it catches what is thrown. */
  readonly failure?: (result: unknown) => unknown;
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
  if (typeof name !== 'string') return undefined;
  const own = name.startsWith('bound ') ? name.slice(6) : name;
  return own === '' || own === '<anonymous>' ? undefined : own;
}

type Next = (this: unknown, error?: unknown, ...rest: unknown[]) => unknown;

/**
 * Runs a layer in a span: until it calls `next`, when that is its last argument, or the promise that it returns is settled,
 * or else until the response is over. What comes next is no child of it, unless the layer goes around that.
 */
export function runLayer(
  tracing: Tracing,
  layer: Layer,
  request: object | undefined,
  original: (...args: never[]) => unknown,
  self: unknown,
  args: unknown[],
): unknown {
  let begun: Begun | undefined;
  let given = args;
  try {
    begun = request === undefined ? undefined : tracing.begin(layerOperation, { self: layer, args: [] });
    if (begun?.span !== undefined) {
      const { done } = begun;
      if (layer.around !== true) given = endingAtNext(tracing, begun, args);
      beforeEnd(request as object, () => done());
    }
  } catch (failure) {
    tracing.fail(failure);
  }
  if (begun?.span === undefined) return Reflect.apply(original, self, args as never);
  let result: unknown;
  try {
    result = tracing.run(begun.context, original, self, given);
  } catch (error) {
    begun.end(error);
    throw error;
  }
  try {
    endWith(tracing, begun, layer, result);
  } catch (failure) {
    tracing.fail(failure);
  }
  return result;
}

/** The arguments with a `next` that ends the span, where the last one is such a function. */
function endingAtNext(tracing: Tracing, begun: Begun, args: unknown[]): unknown[] {
  const last = args.length - 1;
  const next = args[last];
  if (typeof next !== 'function') return args;
  const caller = tracing.active();
  const given = args.slice();
  given[last] = function (this: unknown, ...results: unknown[]): unknown {
    try {
      const [error] = results;
      begun.end(isSignal(error) ? undefined : (error ?? undefined));
    } catch (failure) {
      tracing.fail(failure);
    }
    return tracing.run(caller, next as Next as never, this, results);
  };
  return given;
}

/** A branch of our own: what the application gets is its own promise, handled or not. */
function endWith(tracing: Tracing, begun: Begun, { failure }: Layer, result: unknown): void {
  if (!(result instanceof Promise)) return;
  result.then(
    (value) => begun.end(tracing.guard(() => failure?.(value))),
    (error) => tracing.guard(() => begun.end(error ?? new Error('rejected without a reason'))),
  );
}

/** What `next` takes to leave a route or a router; no error. */
function isSignal(error: unknown): boolean {
  return error === 'route' || error === 'router';
}
