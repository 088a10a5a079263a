import type { AnyFunction } from '../../hook/disguise';
import type { Operation, Tracing } from '../../hook/instrumentation';
import {
  MESSAGING_BATCH_MESSAGE_COUNT,
  MESSAGING_DESTINATION_NAME,
  MESSAGING_OPERATION_NAME,
  MESSAGING_OPERATION_TYPE,
  MESSAGING_SYSTEM,
} from '../../semconv';
import { readField } from '../amqp-headers';
import { messageAttributes } from './attributes';
import { type ChannelState, stateFor } from './channel-state';
import type { Channel, Message } from './library';
import { type Place, queueOf, RABBITMQ } from './place';
import { textOf } from './values';

const CLIENT = 2;

const SETTLE_METHODS = ['ack', 'nack', 'reject', 'ackAll', 'nackAll'] as const;

type SettleMethod = (typeof SETTLE_METHODS)[number];

/** What is settled. */
interface Settling {
  readonly method: SettleMethod;
  readonly state: ChannelState;
  /** `undefined` for `ackAll` and `nackAll`. */
  readonly message: Message | undefined;
  readonly tag: number;
  readonly isMultiple: boolean;
  /** Where they came from; `undefined` when from several queues. */
  readonly place: Place | undefined;
  /** Of the channel, when they came from several. */
  readonly queues: string;
}

/** Traces how one of the two APIs settles messages, and ends the spans of those messages. */
export function patchSettling(prototype: object, tracing: Tracing): void {
  const operation = settleOperation(tracing);
  for (const method of SETTLE_METHODS) {
    tracing.replace(prototype, method, (original) => settling(original, method, operation, tracing));
  }
}

function settling(
  original: AnyFunction,
  method: SettleMethod,
  operation: Operation<undefined, [Settling]>,
  tracing: Tracing,
): AnyFunction {
  const { settleSpans } = tracing.config.amqplib;
  return {
    settle(this: Channel): unknown {
      let what: Settling | undefined;
      try {
        if (!tracing.off) what = settlingOf(this, method, arguments);
      } catch (failure) {
        tracing.fail(failure);
      }
      if (what === undefined) return Reflect.apply(original, this, arguments);
      const begun = settleSpans ? tracing.begin(operation, { self: undefined, args: [what] }) : undefined;
      let result: unknown;
      try {
        result = Reflect.apply(original, this, arguments);
      } catch (error) {
        begun?.end(error);
        throw error;
      }
      try {
        begun?.end();
        if (what.isMultiple) what.state.deliveries.settleUpTo(what.tag);
        else what.state.deliveries.settle(what.tag);
      } catch (failure) {
        tracing.fail(failure);
      }
      return result;
    },
  }.settle;
}

function settlingOf(channel: Channel, method: SettleMethod, args: ArrayLike<unknown>): Settling | undefined {
  const state = stateFor(channel);
  if (method === 'ackAll' || method === 'nackAll') return settlingAll(method, state);
  const message = args[0] as Message | undefined | null;
  const tag = message?.fields?.deliveryTag;
  // Not a message: amqplib is about to say so.
  if (message === undefined || message === null || typeof tag !== 'number') return undefined;
  const isMultiple = method !== 'reject' && Boolean(args[1]);
  return { method, state, message, tag, isMultiple, place: messagePlace(state, message, tag), queues: '' };
}

function messagePlace(state: ChannelState, message: Message, tag: number): Place {
  const known = state.deliveries.get(tag)?.place;
  if (known !== undefined) return known;
  const { fields } = message;
  const queue = state.consumers.get(textOf(fields?.consumerTag))?.queue ?? queueOf.get(message) ?? '';
  return state.link.source(textOf(fields?.exchange), textOf(fields?.routingKey), queue);
}

/** What all open messages of a channel have in common: where they came from, or at least the queue. */
function settlingAll(method: SettleMethod, state: ChannelState): Settling {
  const all = { method, state, message: undefined, tag: Number.POSITIVE_INFINITY, isMultiple: true };
  let common: Place | undefined;
  for (const { place } of state.deliveries.upTo(Number.POSITIVE_INFINITY)) {
    if (common === undefined) common = place;
    else if (place.queue !== common.queue) return { ...all, place: undefined, queues: consumedQueues(state) };
    else if (place.exchange !== common.exchange || place.routingKey !== common.routingKey) {
      common = state.link.source('', '', common.queue);
    }
  }
  return { ...all, place: common, queues: common === undefined ? consumedQueues(state) : '' };
}

/** The conventions ask for one destination. */
function consumedQueues({ consumers }: ChannelState): string {
  const queues = new Set<string>();
  for (const { queue } of consumers.values()) queues.add(queue);
  return [...queues].join(',');
}

function settleOperation(tracing: Tracing): Operation<undefined, [Settling]> {
  return {
    kind: CLIENT,
    name: ({ args: [{ method, place }] }) => {
      const operation = operationOf(method);
      return place === undefined ? operation : place.description(operation, 'settle').name;
    },
    links: ({ args: [{ message, state, tag }] }) => {
      if (message === undefined) return [];
      const headers = message.properties?.headers;
      return [state.deliveries.get(tag)?.creation ?? tracing.extract((name) => readField(headers, name))];
    },
    attributes: ({ args: [what] }, blocks) => {
      const { message, state, tag, isMultiple, place, queues } = what;
      const operation = operationOf(what.method);
      const attributes = messageAttributes(message === undefined ? undefined : tag, message?.properties);
      if (isMultiple) attributes[MESSAGING_BATCH_MESSAGE_COUNT] = batchSize(state, tag);
      if (place !== undefined) {
        place.description(operation, 'settle').addTo(attributes, blocks);
      } else {
        attributes[MESSAGING_SYSTEM] = RABBITMQ;
        attributes[MESSAGING_OPERATION_NAME] = operation;
        attributes[MESSAGING_OPERATION_TYPE] = 'settle';
        attributes[MESSAGING_DESTINATION_NAME] = queues || undefined;
      }
      blocks.add(state.link.requests);
      return attributes;
    },
  };
}

function operationOf(method: SettleMethod): string {
  if (method === 'ackAll') return 'ack';
  return method === 'nackAll' ? 'nack' : method;
}

function batchSize({ deliveries }: ChannelState, tag: number): number | undefined {
  let size = 0;
  for (const _ of deliveries.upTo(tag)) size++;
  return size > 1 ? size : undefined;
}
