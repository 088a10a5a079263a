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
  request: object,
  original: (...args: never[]) => unknown,
  self: unknown,
  args: unknown[],
): unknown {
  const begun = tracing.begin(layerOperation, { self: layer, args: [] });
  if (begun?.span === undefined) return Reflect.apply(original, self, args as never);
  const { context, done } = begun;
  const last = args.length - 1;
  const next = args[last];
  let given = args;
  if (typeof next === 'function' && layer.around !== true) {
    const caller = tracing.active();
    given = args.slice();
    given[last] = function (this: unknown, ...results: unknown[]): unknown {
      const [error] = results;
      done(isSignal(error) ? undefined : (error ?? undefined));
      return tracing.run(caller, next as Next as never, this, results);
    };
  }
  tracing.guard(() => beforeEnd(request, () => done()));
  let result: unknown;
  try {
    result = tracing.run(context, original, self, given);
  } catch (error) {
    done(error);
    throw error;
  }
  // A branch of our own: what the application gets is its own promise, handled or not.
  if (result instanceof Promise) {
    result.then(
      (value) => done(tracing.guard(() => layer.failure?.(value))),
      (error) => done(error ?? new Error('rejected without a reason')),
    );
  }
  return result;
}

/** What `next` takes to leave a route or a router; no error. */
function isSignal(error: unknown): boolean {
  return error === 'route' || error === 'router';
}
