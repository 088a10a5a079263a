import type { Tracing } from '../../hook/instrumentation';
import { createStamp } from '../../hook/stamp';

/** Where bluebird's promises take callbacks; no context follows into them. Filters of `catch` are functions too. */
const BLUEBIRD_METHODS = ['then', 'done', 'spread', 'finally', 'lastly', 'tap', 'asCallback', 'nodeify'];

const patchedPromises = createStamp<true>();

/** Callbacks of the promises that amqplib makes up to 0.9 keep their callers' context. */
export function followBluebird(exports: object, tracing: Tracing): void {
  tracing.replace(
    exports,
    'connect',
    (original) =>
      ({
        connect(this: unknown): unknown {
          const result = Reflect.apply(original, this, arguments);
          tracing.guard(() => bindBluebird(result, tracing));
          return result;
        },
      }).connect,
  );
}

function bindBluebird(promise: unknown, tracing: Tracing): void {
  if (typeof promise !== 'object' || promise === null) return;
  const prototype = Object.getPrototypeOf(promise) as object;
  // Only bluebird's has it.
  if (!Object.hasOwn(prototype, '_then') || patchedPromises.get(prototype) !== undefined) return;
  patchedPromises.set(prototype, true);
  for (const method of BLUEBIRD_METHODS) tracing.bind(prototype, method);
}
