import type { AnyFunction } from '../../hook/disguise';
import type { Begun, Operation, TraceContext, Tracing } from '../../hook/instrumentation';
import { readField } from '../amqp-headers';
import { Sweeper } from '../deliveries';
import { messageAttributes } from './attributes';
import { before } from './before';
import { OpenMessage, stateFor, stateOf } from './channel-state';
import type { Channel, Message } from './library';
import type { Link } from './link';
import type { Description } from './place';
import { textOf } from './values';

const CONSUMER = 4;

const SPAN_KEY = Symbol.for('OpenTelemetry Context Key SPAN');

const { setInterval: startInterval, clearInterval: stopInterval } = globalThis;

type ProcessCall = [message: Message, description: Description, creation: TraceContext];

/** A message on its way into its handler. */
interface Started {
  readonly begun: Begun;
  /** The span ends with the handler, not with the settling of the message. */
  readonly isOver: boolean;
}

/** Traces the handling of messages by consumers. */
export function patchReceiving(prototype: object, tracing: Tracing): void {
  before(prototype, 'unregisterConsumer', tracing, (channel, [tag]) => {
    stateOf.get(channel)?.consumers.delete(String(tag));
  });
  const sweeper = createSweeper(tracing);
  tracing.replace(prototype, 'dispatchMessage', (original) => dispatching(original, sweeper, tracing));
}

function createSweeper(tracing: Tracing): Sweeper {
  return new Sweeper(tracing.config.amqplib.consumeTimeoutMs, (turn, intervalMs) => {
    const root = tracing.extract(() => undefined);
    // Started in a handler, it would keep that handler's context.
    const timer = tracing.run(root, startInterval as never, undefined, [
      () => {
        try {
          if (tracing.off) stopInterval(timer);
          else turn();
        } catch (failure) {
          tracing.fail(failure);
        }
      },
      intervalMs,
    ]) as NodeJS.Timeout;
    timer.unref();
    return () => stopInterval(timer);
  });
}

function dispatching(original: AnyFunction, sweeper: Sweeper, tracing: Tracing): AnyFunction {
  const operation = processOperation(tracing);
  return {
    dispatchMessage(this: Channel, fields: Message['fields'], message: Message | null | undefined): unknown {
      let started: Started | undefined;
      try {
        if (message === null || message === undefined) {
          stateOf.get(this)?.consumers.delete(String(fields?.consumerTag));
        } else if (!tracing.off) started = startProcess(this, message, operation, sweeper, tracing);
      } catch (failure) {
        tracing.fail(failure);
      }
      if (started === undefined) return Reflect.apply(original, this, arguments);
      let result: unknown;
      try {
        result = tracing.run(started.begun.context, original, this, arguments);
      } catch (error) {
        started.begun.end(error);
        throw error;
      }
      try {
        return handled(this, message as Message, started, result);
      } catch (failure) {
        tracing.fail(failure);
        return result;
      }
    },
  }.dispatchMessage;
}

function startProcess(
  channel: Channel,
  message: Message,
  operation: Operation<Link, ProcessCall>,
  sweeper: Sweeper,
  tracing: Tracing,
): Started | undefined {
  // Cancelled in the meantime: amqplib is about to say so.
  if (!handlerOf(channel, message)) return undefined;
  const { fields, properties } = message;
  const state = stateFor(channel);
  const consumer = state.consumers.get(textOf(fields?.consumerTag));
  const { link } = state;
  const replyTo = properties?.replyTo;
  if (typeof replyTo === 'string' && replyTo !== '') link.rememberQueue(replyTo, undefined);
  const place = link.source(textOf(fields?.exchange), textOf(fields?.routingKey), consumer?.queue ?? '');
  const creation = tracing.extract((name) => readField(properties?.headers, name));
  const description = place.description('consume', 'process');
  const begun = tracing.begin(operation, { self: link, args: [message, description, creation] });
  if (begun === undefined) return undefined;

  const tag = fields?.deliveryTag;
  const isSettled = consumer?.noAck === true || typeof tag !== 'number';
  const isOver = isSettled || tracing.config.amqplib.consumeEnd === 'handler';
  if (!isSettled) {
    state.deliveries.add(tag, new OpenMessage(isOver ? undefined : begun, sweeper.turn, place, creation));
    sweeper.watch(state.deliveries);
  }
  return { begun, isOver };
}

/** After the handler returned. */
function handled(channel: Channel, message: Message, { begun, isOver }: Started, result: unknown): unknown {
  if (begun.span === undefined) return result;
  if (result instanceof Promise && isAsyncFunction(handlerOf(channel, message))) {
    // Nobody else has an async function's promise, so the one that is derived from it may be rejected in its place.
    return result.then(
      (value) => {
        if (isOver) begun.end();
        return value;
      },
      (error) => {
        begun.end(error ?? new Error('rejected without a reason'));
        throw error;
      },
    );
  }
  if (isOver) begun.end();
  return result;
}

function handlerOf({ consumers }: Channel, { fields }: Message): unknown {
  const tag = textOf(fields?.consumerTag);
  return consumers instanceof Map ? consumers.get(tag) : consumers?.[tag];
}

/** Bound ones too, which inherit what they are. */
function isAsyncFunction(handler: unknown): boolean {
  return Object.prototype.toString.call(handler) === '[object AsyncFunction]';
}

function processOperation(tracing: Tracing): Operation<Link, ProcessCall> {
  const linked = tracing.config.amqplib.useLinksForConsume;
  return {
    kind: CONSUMER,
    name: ({ args: [, description] }) => description.name,
    // Without its span, a context still carries the baggage.
    parent: ({ args: [, , creation] }) => (linked ? creation.deleteValue(SPAN_KEY) : creation),
    links: ({ args: [, , creation] }) => [creation],
    attributes: ({ self, args: [{ fields, properties }, description] }, blocks) => {
      const attributes = messageAttributes(fields?.deliveryTag, properties);
      description.addTo(attributes, blocks);
      blocks.add(self.messages);
      return attributes;
    },
  };
}
