/**
 * How RabbitMQ's exchanges, routing keys and queues are called in spans: semantic conventions, messaging/rabbitmq.
 *
 * The attribute `messaging.destination.name` is the full path of a message. Span names hold only the part of it that
 * is of low cardinality.
 */

/** What the conventions call the default exchange without a routing key. */
const DEFAULT_EXCHANGE = 'amq.default';

/** Queues that the broker names when the client gives no name. */
const SERVER_NAMED = 'amq.gen-';

/** The pseudo-queue of direct reply-to, and the addresses made from it for each consumer. */
const DIRECT_REPLY = 'amq.rabbitmq.reply-to';

/** What is known of a queue beside its name. */
export interface QueueTraits {
  /** The broker or the client library made the name up. */
  readonly anonymous: boolean;
  /** Gone with the connection that declared it. */
  readonly temporary: boolean;
}

const ORDINARY: QueueTraits = { anonymous: false, temporary: false };
const ANONYMOUS: QueueTraits = { anonymous: true, temporary: false };
const DIRECT: QueueTraits = { anonymous: true, temporary: true };

/** What the name of a queue says about it. */
export function traitsOf(queue: string): QueueTraits {
  if (!queue.startsWith('amq.')) return ORDINARY;
  if (queue.startsWith(SERVER_NAMED)) return ANONYMOUS;
  return queue.startsWith(DIRECT_REPLY) ? DIRECT : ORDINARY;
}

/** `{exchange}:{routing key}`, empty parts left out; `amq.default` when both are. */
export function sendDestination(exchange: string, routingKey: string): string {
  if (exchange === '') return routingKey === '' ? DEFAULT_EXCHANGE : routingKey;
  return routingKey === '' ? exchange : `${exchange}:${routingKey}`;
}

/** `{exchange}:{routing key}:{queue}`, empty parts left out, and the queue once where the routing key is its name. */
export function consumeDestination(exchange: string, routingKey: string, queue: string): string {
  if (queue === '' || queue === routingKey) return sendDestination(exchange, routingKey);
  if (exchange === '' && routingKey === '') return queue;
  return `${sendDestination(exchange, routingKey)}:${queue}`;
}

/**
 * The part of a destination that a span's name may hold: the queue when it has a lasting name, else the exchange, else
 * nothing. Routing keys of named exchanges are left out: they often hold ids.
 */
export function nameTarget(exchange: string, queue: string, isLasting: boolean): string {
  return queue !== '' && isLasting ? queue : exchange;
}
