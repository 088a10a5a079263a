import { createStamp } from '../../hook/stamp';
import type { Broker } from '../broker';
import type { QueueTraits } from '../rabbitmq';
import type { Failure } from './failure';
import type { Connection, Socket } from './library';

/** Queues of a connection that are known not to last. */
const MAX_KNOWN_QUEUES = 1_000;

/** What is remembered of a connection. */
export interface Link {
  readonly broker: Broker | undefined;
  readonly peer: Socket | undefined;
  /** Queues that do not last, by name; the oldest leave. */
  readonly queues: Map<string, QueueTraits | undefined>;
  /** Why it ended; `undefined` when the application closed it. */
  failure: Failure | undefined;
}

export const linkOf = createStamp<Link>();

export function createLink(connection: Connection, broker: Broker | undefined): Link {
  // Up to 0.10.4 the stream may be a wrapper without addresses.
  const socket = connection.channels?.[0]?.buffer ?? connection.stream;
  // Read now: a socket forgets its peer when it is closed.
  const peer =
    socket?.remoteAddress === undefined
      ? undefined
      : { remoteAddress: socket.remoteAddress, remotePort: socket.remotePort };
  return { broker, peer, queues: new Map(), failure: undefined };
}

/** Also of a connection that was opened before anything was patched. */
export function linkFor(connection: Connection): Link {
  let link = linkOf.get(connection);
  if (link === undefined) {
    link = createLink(connection, undefined);
    linkOf.set(connection, link);
  }
  return link;
}

export function rememberQueue({ queues }: Link, queue: string, traits: QueueTraits | undefined): void {
  if (queues.has(queue)) {
    if (traits !== undefined) queues.set(queue, traits);
    return;
  }
  queues.set(queue, traits);
  if (queues.size <= MAX_KNOWN_QUEUES) return;
  for (const oldest of queues.keys()) {
    queues.delete(oldest);
    return;
  }
}
