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
          try {
            if (!tracing.off) look(this, arguments);
          } catch (failure) {
            tracing.fail(failure);
          }
          return Reflect.apply(original, this, arguments);
        },
      }).watched,
  );
}
