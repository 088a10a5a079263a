import type { AnyFunction } from '../../hook/disguise';
import type { Operation, Tracing } from '../../hook/instrumentation';
import {
  MESSAGING_DESTINATION_ANONYMOUS,
  MESSAGING_DESTINATION_NAME,
  MESSAGING_DESTINATION_TEMPORARY,
  MESSAGING_MESSAGE_CONVERSATION_ID,
  MESSAGING_MESSAGE_ID,
  MESSAGING_OPERATION_NAME,
  MESSAGING_OPERATION_TYPE,
  MESSAGING_RABBITMQ_ROUTING_KEY,
  MESSAGING_SYSTEM,
} from '../../semconv';
import { addFields, type MessageProperties, readField } from '../amqp-headers';
import { sendDestination } from '../rabbitmq';
import { addConnection, RABBITMQ } from './attributes';
import { awaitConfirm } from './confirming';
import type { Channel } from './library';
import { linkFor } from './link';
import { type Place, placeOf, spanName } from './place';
import { optionalText, textOf } from './values';

const PRODUCER = 3;

/** Fields of a `basic.publish`, which amqplib makes one object of with the message's properties. */
interface Sending extends MessageProperties {
  readonly exchange?: unknown;
  readonly routingKey?: unknown;
}

/** The place is found out with the name, which the engine asks for first. */
type SendCall = [message: Sending, place: Place | undefined];

/** Makes a traced `sendMessage` of an original. */
export type TraceSend = (original: AnyFunction) => AnyFunction;

/** Traces `sendMessage`, below `publish` and `sendToQueue` of both APIs. */
export function traceSending(maxTableBytes: number, tracing: Tracing): TraceSend {
  const operation = sendOperation(maxTableBytes, tracing);
  return (original) =>
    ({
      sendMessage(this: Channel, ...args: unknown[]): unknown {
        const begun = tracing.begin(operation, { self: this, args: [args[0], undefined] });
        let result: unknown;
        try {
          result = Reflect.apply(original, this, args);
        } catch (error) {
          tracing.guard(() => begun?.done(error));
          throw error;
        }
        try {
          if (typeof this.waitForConfirms !== 'function') begun?.done();
          else if (!tracing.off) awaitConfirm(this, begun);
        } catch (failure) {
          tracing.fail(failure);
        }
        return result;
      },
    }).sendMessage;
}

function sendOperation(maxTableBytes: number, tracing: Tracing): Operation<Channel, SendCall> {
  return {
    kind: PRODUCER,
    name: ({ self, args }) => {
      args[1] = sendPlace(self, args[0]);
      return spanName('publish', args[1]);
    },
    links: ({ args: [{ headers }] }) =>
      hasContext(headers) ? [tracing.extract((name) => readField(headers, name))] : [],
    attributes: ({ self, args: [message, place] }) => {
      const { exchange, routingKey, traits } = place as Place;
      return addConnection(
        {
          [MESSAGING_SYSTEM]: RABBITMQ,
          [MESSAGING_OPERATION_NAME]: 'publish',
          [MESSAGING_OPERATION_TYPE]: 'send',
          [MESSAGING_DESTINATION_NAME]: sendDestination(exchange, routingKey),
          [MESSAGING_RABBITMQ_ROUTING_KEY]: routingKey || undefined,
          [MESSAGING_DESTINATION_ANONYMOUS]: traits.anonymous || undefined,
          [MESSAGING_DESTINATION_TEMPORARY]: traits.temporary || undefined,
          [MESSAGING_MESSAGE_ID]: optionalText(message.messageId),
          [MESSAGING_MESSAGE_CONVERSATION_ID]: optionalText(message.correlationId),
        },
        linkFor(self.connection),
      );
    },
    inject: ({ self, args: [message] }, write) => {
      if (hasContext(message.headers)) return;
      const fields: [string, string][] = [];
      write((name, value) => fields.push([name, value]));
      try {
        addFields(message, fields, self.connection.frameMax || Number.POSITIVE_INFINITY, maxTableBytes);
      } catch {
        // An accessor among the application's headers, which is about to throw at amqplib too: no failure of ours.
      }
    },
  };
}

function hasContext(headers: unknown): boolean {
  return typeof headers === 'object' && (headers as { traceparent?: unknown } | null)?.traceparent !== undefined;
}

/** The default exchange delivers to the queue that the routing key names. */
function sendPlace(channel: Channel, message: Sending): Place {
  const exchange = textOf(message.exchange);
  const routingKey = textOf(message.routingKey);
  return placeOf(channel, exchange, routingKey, exchange === '' ? routingKey || 'amq.default' : '');
}
