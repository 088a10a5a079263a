import type { AnyFunction } from '../../hook/disguise';
import type { Tracing } from '../../hook/instrumentation';
import { stateFor, stateOf } from './channel-state';
import type { Channel } from './library';
import { linkFor } from './link';
import { textOf } from './values';

/** Methods of AMQP 0-9-1 as amqplib numbers them: class id in the upper 16 bits, method id in the lower. */
const QUEUE_DECLARE = (50 << 16) | 10;
const BASIC_CONSUME = (60 << 16) | 20;
const BASIC_RECOVER = (60 << 16) | 110;

type RpcCallback = (error: unknown, frame?: { fields?: Record<string, unknown> }) => unknown;

/** Learns from a channel's calls to the broker what queues and consumers there are. */
export function watchTopology(prototype: object, tracing: Tracing): void {
  tracing.replace(prototype, '_rpc', (original) => watchRpc(original, tracing));
}

function watchRpc(original: AnyFunction, tracing: Tracing): AnyFunction {
  return {
    _rpc(this: Channel, ...args: unknown[]): unknown {
      tracing.guard(() => watchCall(this, args, tracing));
      return Reflect.apply(original, this, args);
    },
  }._rpc;
}

/** Puts another callback among the arguments, where the answer is of interest. */
function watchCall(channel: Channel, args: unknown[], tracing: Tracing): void {
  const [method, fields, , callback] = args;
  if (method === BASIC_RECOVER) {
    // What was not settled is delivered again, with other tags.
    stateOf.get(channel)?.deliveries.settleUpTo(Number.POSITIVE_INFINITY);
  } else if ((method === QUEUE_DECLARE || method === BASIC_CONSUME) && typeof callback === 'function') {
    args[3] = function (this: unknown, error: unknown, frame?: { fields?: Record<string, unknown> }): unknown {
      if (error === null) {
        tracing.guard(() => {
          if (method === QUEUE_DECLARE) declared(channel, fields as QueueFields, frame?.fields);
          else consuming(channel, fields as ConsumeFields, frame?.fields);
        });
      }
      return Reflect.apply(callback as RpcCallback, this, arguments as never);
    };
  }
}

interface QueueFields {
  readonly queue?: unknown;
  readonly passive?: unknown;
  readonly exclusive?: unknown;
}

function declared(channel: Channel, asked: QueueFields, answer: Record<string, unknown> | undefined): void {
  const queue = answer?.['queue'];
  if (typeof queue !== 'string') return;
  stateFor(channel).lastDeclared = queue;
  if (asked.passive) return;
  const traits = { anonymous: asked.queue === '', temporary: Boolean(asked.exclusive) };
  if (traits.anonymous || traits.temporary) linkFor(channel.connection).rememberQueue(queue, traits);
}

interface ConsumeFields {
  readonly queue?: unknown;
  readonly noAck?: unknown;
}

function consuming(channel: Channel, asked: ConsumeFields, answer: Record<string, unknown> | undefined): void {
  const state = stateFor(channel);
  const tag = answer?.['consumerTag'];
  if (typeof tag !== 'string') return;
  state.consumers.set(tag, { queue: textOf(asked.queue) || state.lastDeclared, noAck: Boolean(asked.noAck) });
}
