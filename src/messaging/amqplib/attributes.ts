import type { Attributes } from '@opentelemetry/api';
import {
  MESSAGING_DESTINATION_ANONYMOUS,
  MESSAGING_DESTINATION_NAME,
  MESSAGING_DESTINATION_TEMPORARY,
  MESSAGING_MESSAGE_CONVERSATION_ID,
  MESSAGING_MESSAGE_ID,
  MESSAGING_OPERATION_NAME,
  MESSAGING_OPERATION_TYPE,
  MESSAGING_RABBITMQ_DELIVERY_TAG,
  MESSAGING_RABBITMQ_ROUTING_KEY,
  MESSAGING_SYSTEM,
  NETWORK_PEER_ADDRESS,
  NETWORK_PEER_PORT,
  SERVER_ADDRESS,
  SERVER_PORT,
} from '../../semconv';
import { consumeDestination } from '../rabbitmq';
import type { Message } from './library';
import type { Link } from './link';
import type { Place } from './place';
import { optionalNumber, optionalText } from './values';

/** `messaging.system`. */
export const RABBITMQ = 'rabbitmq';

/** Of a message that came: handed to a handler, or got. */
export function messageAttributes(
  operation: string,
  type: 'process' | 'receive',
  { fields, properties }: Message,
  { exchange, routingKey, queue, traits }: Place,
): Attributes {
  return {
    [MESSAGING_SYSTEM]: RABBITMQ,
    [MESSAGING_OPERATION_NAME]: operation,
    [MESSAGING_OPERATION_TYPE]: type,
    [MESSAGING_DESTINATION_NAME]: consumeDestination(exchange, routingKey, queue),
    [MESSAGING_RABBITMQ_ROUTING_KEY]: routingKey || undefined,
    [MESSAGING_RABBITMQ_DELIVERY_TAG]: optionalNumber(fields?.deliveryTag),
    [MESSAGING_DESTINATION_ANONYMOUS]: traits.anonymous || undefined,
    [MESSAGING_DESTINATION_TEMPORARY]: traits.temporary || undefined,
    [MESSAGING_MESSAGE_ID]: optionalText(properties?.messageId),
    [MESSAGING_MESSAGE_CONVERSATION_ID]: optionalText(properties?.correlationId),
  };
}

/** For spans of requests to the broker, whose peer is the broker. */
export function addConnection(attributes: Attributes, { broker, peer }: Link): Attributes {
  attributes[SERVER_ADDRESS] = broker?.address;
  attributes[SERVER_PORT] = broker?.port;
  if (peer === undefined) return attributes;
  attributes[NETWORK_PEER_ADDRESS] = peer.remoteAddress;
  attributes[NETWORK_PEER_PORT] = peer.remotePort;
  return attributes;
}
