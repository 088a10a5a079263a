import type { Target } from '../hook/instrumentation';
import { noteError, setRoute } from './route';

type Final = (this: unknown, error?: unknown) => unknown;

/**
 * What express and connect end with when nothing has answered: `finalhandler(request, response)` makes the last `next`. With
 * an error it writes the error page, without one the 404 that belongs to no route.
 */
export const finalHandler: Target = {
  module: 'finalhandler',
  patch(finalhandler, tracing) {
    const holder = { finalhandler };
    tracing.replace(holder, 'finalhandler', (original) => {
      return function (this: unknown, ...args: unknown[]): unknown {
        const final = Reflect.apply(original, this, args) as Final;
        const [request] = args;
        if (typeof final !== 'function' || typeof request !== 'object' || request === null) return final;
        return function (this: unknown, ...results: unknown[]): unknown {
          tracing.guard(() => {
            const [error] = results;
            if (error) noteError(request, error);
            else setRoute(request, undefined);
          });
          return Reflect.apply(final, this, results);
        };
      };
    });
    return holder.finalhandler;
  },
};
