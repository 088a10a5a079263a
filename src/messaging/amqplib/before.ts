import type { Tracing } from '../../hook/instrumentation';

/** Replaces a method by itself with a look at the call before it. */
export function before(
  owner: object,
  method: string,
  tracing: Tracing,
  look: (self: object, args: ArrayLike<unknown> & Iterable<unknown>) => void,
): void {
  tracing.replace(
    owner,
    method,
    (original) =>
      ({
        watched(this: object): unknown {
          const args = arguments;
          tracing.guard(() => look(this, args));
          return Reflect.apply(original, this, args);
        },
      }).watched,
  );
}
