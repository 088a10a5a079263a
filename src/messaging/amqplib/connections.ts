import type { AnyFunction } from '../../hook/disguise';
import type { Tracing } from '../../hook/instrumentation';
import { brokerOf } from '../broker';
import { before } from './before';
import { endAll } from './channel-state';
import { failureOf } from './failure';
import type { Channel, Connection } from './library';
import { createLink, linkFor, linkOf } from './link';

/** Opens sockets outside of any trace, and remembers where they lead. */
export function patchConnect(exports: object, tracing: Tracing): void {
  const root = tracing.extract(() => undefined);
  tracing.replace(
    exports,
    'connect',
    (original) =>
      ({
        connect(this: unknown, ...args: unknown[]): unknown {
          const bound = tracing.guard(() => bindOpened(args, tracing));
          if (bound === undefined) return Reflect.apply(original, this, args);
          args[2] = bound;
          return tracing.run(root, original, this, args);
        },
      }).connect,
  );
}

/** The callback of a `connect`, in its caller's context. */
function bindOpened([target, , opened]: readonly unknown[], tracing: Tracing): AnyFunction | undefined {
  if (typeof opened !== 'function') return undefined;
  const caller = tracing.active();
  const broker = tracing.guard(() => brokerOf(target));
  return function (this: unknown, ...results: unknown[]): unknown {
    const connection = results[1];
    if (typeof connection === 'object' && connection !== null) {
      tracing.guard(() => linkOf.set(connection, createLink(connection, broker)));
    }
    return tracing.run(caller, opened as never, this, results);
  };
}

/** Learns why a connection ends. */
export function patchConnection(prototype: object, tracing: Tracing): void {
  tracing.bind(prototype, 'closeBecause');
  before(prototype, 'closeWithError', tracing, (connection, [reason, code]) => {
    linkFor(connection as Connection).failure ??= { code: String(code), message: String(reason) };
  });
  before(prototype, 'onSocketError', tracing, (connection, [error]) => {
    if ((connection as Connection).expectSocketClose) return;
    // amqplib emits 'error' next, which ends the process when nobody listens.
    linkFor(connection as Connection).failure ??= failureOf(error);
    for (const entry of (connection as Connection).channels ?? []) {
      if (entry?.channel !== undefined) endAll(entry.channel as Channel);
    }
  });
  before(prototype, 'toClosed', tracing, (connection, [, error]) => {
    if (error !== undefined) linkFor(connection as Connection).failure ??= failureOf(error);
  });
}
