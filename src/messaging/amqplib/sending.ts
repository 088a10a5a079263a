import type { AnyFunction } from '../../hook/disguise';
import type { Operation, TraceContext, Tracing } from '../../hook/instrumentation';
import { addFields, type MessageProperties, readField } from '../amqp-headers';
import { messageAttributes } from './attributes';
import { awaitConfirm } from './confirming';
import type { Channel } from './library';
import { linkFor } from './link';
import type { Description } from './place';
import { textOf } from './values';

const PRODUCER = 3;

const NONE: readonly TraceContext[] = [];

/** Fields of a `basic.publish`, which amqplib makes one object of with the message's properties. */
interface Sending extends MessageProperties {
  readonly exchange?: unknown;
  readonly routingKey?: unknown;
}

/** The description is found with the name, which the engine asks for first. */
type SendCall = [message: Sending, description: Description | undefined];

/** Makes a traced `sendMessage` of an original. */
export type TraceSend = (original: AnyFunction) => AnyFunction;

/** Traces `sendMessage`, below `publish` and `sendToQueue` of both APIs. */
export function traceSending(maxTableBytes: number, tracing: Tracing): TraceSend {
  const operation = sendOperation(maxTableBytes, tracing);
  return (original) =>
    ({
      sendMessage(this: Channel, message: unknown): unknown {
        const begun = tracing.begin(operation, { self: this, args: [message, undefined] });
        let result: unknown;
        try {
          result = Reflect.apply(original, this, arguments);
        } catch (error) {
          begun?.end(error);
          throw error;
        }
        try {
          if (typeof this.waitForConfirms !== 'function') begun?.end();
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
      const { exchange, routingKey } = args[0];
      const description = linkFor(self.connection)
        .target(textOf(exchange), textOf(routingKey))
        .description('publish', 'send');
      args[1] = description;
      return description.name;
    },
    links: ({ args: [{ headers }] }) =>
      hasContext(headers) ? [tracing.extract((name) => readField(headers, name))] : NONE,
    attributes: ({ self, args: [message, description] }, blocks) => {
      const attributes = messageAttributes(undefined, message);
      (description as Description).addTo(attributes, blocks);
      blocks.add(linkFor(self.connection).requests);
      return attributes;
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
