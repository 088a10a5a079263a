import type { Attributes } from '@opentelemetry/api';
import { Foreign } from '../../hook/stamp';
import { NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT, SERVER_ADDRESS, SERVER_PORT } from '../../semconv';
import { AttributeBlock } from '../../trace/attribute-block';
import type { Broker } from '../broker';
import type { QueueTraits } from '../rabbitmq';
import type { Failure } from './failure';
import type { Connection, Socket } from './library';
import { Place } from './place';

/** Queues of a connection that are known not to last. */
const MAX_KNOWN_QUEUES = 1_000;

/** Beyond these they are made anew, so that what is used again comes back soon. */
const MAX_PLACES = 256;

/** What is remembered of a connection. */
export class Link {
  /** Of spans of requests to the broker, whose peer is the broker. */
  readonly requests: AttributeBlock;
  /** Of spans of messages that came from it. */
  readonly messages: AttributeBlock;
  /** Why it ended; `undefined` when the application closed it. */
  failure: Failure | undefined = undefined;
  /** Queues that do not last, by name; the oldest leave. */
  readonly #queues = new Map<string, QueueTraits | undefined>();
  readonly #places = new Map<string, Place>();
  /** The last ones: in most processes there are no others. */
  #target: Place | undefined = undefined;
  #source: Place | undefined = undefined;

  constructor(broker: Broker | undefined, peer: Socket | undefined) {
    const server: Attributes = { [SERVER_ADDRESS]: broker?.address, [SERVER_PORT]: broker?.port };
    this.messages = new AttributeBlock(server);
    this.requests = new AttributeBlock({
      ...server,
      [NETWORK_PEER_ADDRESS]: peer?.remoteAddress,
      [NETWORK_PEER_PORT]: peer?.remotePort,
    });
  }

  /** Where a message goes. The default exchange delivers to the queue that the routing key names. */
  target(exchange: string, routingKey: string): Place {
    const queue = exchange === '' ? routingKey || 'amq.default' : '';
    if (this.#target?.is(exchange, routingKey, queue)) return this.#target;
    this.#target = this.#place(exchange, routingKey, queue);
    return this.#target;
  }

  /** Where a message came from. */
  source(exchange: string, routingKey: string, queue: string): Place {
    if (this.#source?.is(exchange, routingKey, queue)) return this.#source;
    this.#source = this.#place(exchange, routingKey, queue);
    return this.#source;
  }

  #place(exchange: string, routingKey: string, queue: string): Place {
    const key = `${exchange}\n${routingKey}\n${queue}`;
    let place = this.#places.get(key);
    if (place === undefined) {
      place = new Place(exchange, routingKey, queue, this.#queues);
      if (this.#places.size >= MAX_PLACES) this.#places.clear();
      this.#places.set(key, place);
    }
    return place;
  }

  rememberQueue(queue: string, traits: QueueTraits | undefined): void {
    const queues = this.#queues;
    if (queues.has(queue) && (traits === undefined || queues.get(queue) === traits)) return;
    queues.set(queue, traits);
    if (queues.size > MAX_KNOWN_QUEUES) {
      for (const oldest of queues.keys()) {
        queues.delete(oldest);
        break;
      }
    }
    // They were made of what was known before.
    this.#places.clear();
    this.#target = undefined;
    this.#source = undefined;
  }
}

/** On connections. */
class LinkStamp extends Foreign {
  #link: Link | undefined;

  static get(connection: object): Link | undefined {
    return #link in connection ? (connection as LinkStamp).#link : undefined;
  }

  static set(connection: object, link: Link): void {
    if (#link in connection) (connection as LinkStamp).#link = link;
    else new LinkStamp(connection).#link = link;
  }
}

export const linkOf = LinkStamp;

export function createLink(connection: Connection, broker: Broker | undefined): Link {
  // Up to 0.10.4 the stream may be a wrapper without addresses.
  const socket = connection.channels?.[0]?.buffer ?? connection.stream;
  // Read now: a socket forgets its peer when it is closed.
  return new Link(broker, socket?.remoteAddress === undefined ? undefined : socket);
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
