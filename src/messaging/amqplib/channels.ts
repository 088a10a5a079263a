import type { AnyFunction } from '../../hook/disguise';
import type { TraceContext, Tracing } from '../../hook/instrumentation';
import { readField } from '../amqp-headers';
import { before } from './before';
import { endAll, stateFor, stateOf } from './channel-state';
import type { Channel } from './library';
import type { TraceSend } from './sending';

/** Methods of AMQP 0-9-1 as amqplib numbers them: class id in the upper 16 bits, method id in the lower. */
const CHANNEL_CLOSE = (20 << 16) | 40;
const BASIC_RETURN = (60 << 16) | 50;
/** The header of a message, which has a class and no method. */
const BASIC_PROPERTIES = 60;

interface Frame {
  /** `undefined`: content. */
  readonly id?: unknown;
  readonly fields?: { readonly replyCode?: unknown; readonly replyText?: unknown; readonly headers?: unknown };
}

/** Gives replies and returned messages their contexts, and ends what is open on a channel when it is closed. */
export function patchChannel(prototype: object, traceSend: TraceSend, tracing: Tracing): void {
  // Replies arrive in the socket's context.
  tracing.bind(prototype, 'sendOrEnqueue');
  tracing.bind(prototype, 'closeBecause');
  tracing.replace(
    prototype,
    'accept',
    (original) =>
      ({
        // For every frame, of which a message has several: no closures.
        accept(this: Channel, frame: Frame | undefined): unknown {
          let context: TraceContext | undefined;
          try {
            if (frame?.id === CHANNEL_CLOSE) closedByBroker(this, frame);
            else if (frame?.id === BASIC_RETURN) stateFor(this).isReturning = true;
            else if (stateOf.get(this)?.isReturning && !tracing.off) context = returnedContext(this, frame, tracing);
          } catch (failure) {
            tracing.fail(failure);
          }
          return context === undefined
            ? Reflect.apply(original, this, arguments)
            : tracing.run(context, original as never, this, arguments);
        },
      }).accept,
  );
  before(prototype, 'closeWithError', tracing, (channel, [, reason, code]) => {
    const state = stateOf.get(channel);
    if (state !== undefined) state.failure = { code: String(code), message: String(reason) };
  });
  for (const method of ['toClosing', 'toClosed']) {
    tracing.replace(prototype, method, (original) => closing(original, method === 'toClosed', traceSend, tracing));
  }
}

/** The context that a message was sent in which the broker now returns, for the frames that follow `basic.return`. */
function returnedContext(channel: Channel, frame: Frame | undefined, tracing: Tracing): TraceContext | undefined {
  const state = stateFor(channel);
  if (frame?.id === BASIC_PROPERTIES) {
    state.returned = tracing.extract((name) => readField(frame.fields?.headers, name));
  } else if (frame?.id !== undefined) {
    state.isReturning = false;
    state.returned = undefined;
  }
  return state.returned;
}

function closedByBroker(channel: Channel, { fields }: Frame): void {
  const state = stateOf.get(channel);
  if (state !== undefined) state.failure = { code: String(fields?.replyCode), message: String(fields?.replyText) };
}

function closing(original: AnyFunction, isClosed: boolean, traceSend: TraceSend, tracing: Tracing): AnyFunction {
  return {
    close(this: Channel): unknown {
      if (isClosed) tracing.guard(() => endAll(this));
      const own = this as { sendMessage?: AnyFunction };
      try {
        return Reflect.apply(original, this, arguments);
      } finally {
        // amqplib has put one on the channel that only throws: that publish failed, and has to show.
        tracing.guard(() => {
          if (Object.hasOwn(own, 'sendMessage')) tracing.replace(own, 'sendMessage', traceSend);
        });
      }
    },
  }.close;
}
