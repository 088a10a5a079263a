import type { AnyFunction } from '../../hook/disguise';
import type { Done, Operation, Span, Tracing } from '../../hook/instrumentation';
import {
  MESSAGING_DESTINATION_ANONYMOUS,
  MESSAGING_DESTINATION_NAME,
  MESSAGING_DESTINATION_TEMPORARY,
  MESSAGING_OPERATION_NAME,
  MESSAGING_OPERATION_TYPE,
  MESSAGING_SYSTEM,
} from '../../semconv';
import { readField } from '../amqp-headers';
import { messageAttributes } from './attributes';
import { stateFor } from './channel-state';
import { failureOf } from './failure';
import type { Channel, Message } from './library';
import type { Link } from './link';
import { type Place, queueOf, RABBITMQ } from './place';
import { textOf } from './values';

const CLIENT = 2;

type GetOperation = Operation<Link, [Place]>;

/** A message that was got, and from where. */
interface Got {
  readonly message: Message;
  readonly queue: string;
  readonly link: Link;
}

interface Thenable {
  then(onFulfilled: (value: unknown) => unknown, onRejected: (error: unknown) => unknown): unknown;
}

/** Traces `get` of one of the two APIs. */
export function patchGetting(prototype: object, tracing: Tracing): void {
  const operation = getOperation(tracing);
  tracing.replace(prototype, 'get', (original) => getting(original, operation, tracing));
}

function getOperation(tracing: Tracing): GetOperation {
  return {
    kind: CLIENT,
    name: ({ args: [place] }) => place.spanName('get'),
    attributes: ({ self, args: [{ queue, traits }] }, blocks) => {
      blocks.add(self.requests);
      return {
        [MESSAGING_SYSTEM]: RABBITMQ,
        [MESSAGING_OPERATION_NAME]: 'get',
        [MESSAGING_OPERATION_TYPE]: 'receive',
        [MESSAGING_DESTINATION_NAME]: queue,
        [MESSAGING_DESTINATION_ANONYMOUS]: traits.anonymous || undefined,
        [MESSAGING_DESTINATION_TEMPORARY]: traits.temporary || undefined,
      };
    },
    end: (span, { value }) => {
      if (value !== undefined) received(span, value as Got, tracing);
    },
  };
}

function received(span: Span, { message, queue, link }: Got, tracing: Tracing): void {
  const { fields, properties } = message;
  const place = link.source(textOf(fields?.exchange), textOf(fields?.routingKey), queue);
  span.adopt(place.description('get', 'receive').attributes());
  span.adopt(messageAttributes(fields?.deliveryTag, properties));
  const { identity } = tracing.extract((name) => readField(properties?.headers, name));
  if (identity !== undefined) span.linkTo(identity);
}

function getting(original: AnyFunction, operation: GetOperation, tracing: Tracing): AnyFunction {
  return {
    get(this: Channel, ...args: unknown[]): unknown {
      const answered = tracing.guard(() => beginGet(this, args, operation, tracing));
      if (answered === undefined) return Reflect.apply(original, this, args);
      const callback = args[2];
      if (typeof callback === 'function') {
        args[2] = tracing.guard(() => bindAnswered(callback as AnyFunction, answered, tracing)) ?? callback;
      }
      let result: unknown;
      try {
        result = Reflect.apply(original, this, args);
      } catch (error) {
        tracing.guard(() => answered(error));
        throw error;
      }
      if (typeof callback === 'function') return result;
      return tracing.guard(() => settled(result, answered, tracing)) ?? result;
    },
  }.get;
}

function bindAnswered(callback: AnyFunction, answered: Done, tracing: Tracing): AnyFunction {
  const caller = tracing.active();
  return function (this: unknown, ...results: unknown[]): unknown {
    tracing.guard(() => answered(results[0] ?? undefined, results[1]));
    return tracing.run(caller, callback as never, this, results);
  };
}

/** The promise that the application gets: native from 0.10 on, bluebird's before; one that is derived is of the same make. */
function settled(result: unknown, answered: Done, tracing: Tracing): unknown {
  if (!isThenable(result)) {
    answered();
    return result;
  }
  return result.then(
    (value) => {
      tracing.guard(() => answered(undefined, value));
      return value;
    },
    (error) => {
      tracing.guard(() => answered(error ?? new Error('rejected without a reason')));
      throw error;
    },
  );
}

function isThenable(value: unknown): value is Thenable {
  return typeof (value as Partial<Thenable> | null)?.then === 'function';
}

/** Returns what takes the answer; to be called under the guard. */
function beginGet(
  channel: Channel,
  args: readonly unknown[],
  operation: GetOperation,
  tracing: Tracing,
): Done | undefined {
  const state = stateFor(channel);
  const queue = textOf(args[0]) || state.lastDeclared;
  const { link } = state;
  const begun = tracing.begin(operation, { self: link, args: [link.source('', '', queue)] });
  if (begun === undefined) return undefined;
  const { done } = begun;
  // Up to 1.0.5 a callback hears nothing when its channel is closed.
  if (begun.span !== undefined) state.gets.add(done);
  return (error, value) => {
    state.gets.delete(done);
    const message = typeof value === 'object' && value !== null ? (value as Message) : undefined;
    if (message !== undefined) queueOf.set(message, queue);
    done(error === undefined ? undefined : replyError(error), message && ({ message, queue, link } satisfies Got));
  };
}

/** An error of the broker's has a number for its code. Up to 1.0.5 a promise is rejected with the frame itself. */
function replyError(error: unknown): unknown {
  const { code, message, fields } = error as {
    code?: unknown;
    message?: unknown;
    fields?: { replyCode?: unknown; replyText?: unknown };
  };
  const replyCode = fields?.replyCode ?? code;
  return typeof replyCode === 'number' ? failureOf({ code: replyCode, message: fields?.replyText ?? message }) : error;
}
