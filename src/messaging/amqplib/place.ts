import { createStamp } from '../../hook/stamp';
import { nameTarget, type QueueTraits, traitsOf } from '../rabbitmq';
import type { Channel } from './library';
import { linkFor } from './link';

/** Where a message came from or goes, for attributes and names. */
export interface Place {
  readonly exchange: string;
  readonly routingKey: string;
  readonly queue: string;
  readonly traits: QueueTraits;
  readonly isLasting: boolean;
}

/** The queue that a message was got from; delivered ones name their consumer. */
export const queueOf = createStamp<string>();

export function placeOf(channel: Channel, exchange: string, routingKey: string, queue: string): Place {
  const { queues } = linkFor(channel.connection);
  const traits = queues.get(queue) ?? traitsOf(queue);
  const isLasting = !traits.anonymous && !traits.temporary && !queues.has(queue);
  return { exchange, routingKey, queue, traits, isLasting };
}

export function spanName(operation: string, { exchange, queue, isLasting }: Place): string {
  const target = nameTarget(exchange, queue, isLasting);
  return target === '' ? operation : `${operation} ${target}`;
}
