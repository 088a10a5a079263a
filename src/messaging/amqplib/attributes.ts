import type { Attributes } from '@opentelemetry/api';
import {
  MESSAGING_MESSAGE_CONVERSATION_ID,
  MESSAGING_MESSAGE_ID,
  MESSAGING_RABBITMQ_DELIVERY_TAG,
} from '../../semconv';
import { optionalText } from './values';

/** What tells one message from all others. */
export function messageAttributes(
  deliveryTag: unknown,
  properties: { readonly messageId?: unknown; readonly correlationId?: unknown } | undefined,
): Attributes {
  const attributes: Attributes = {};
  if (typeof deliveryTag === 'number') attributes[MESSAGING_RABBITMQ_DELIVERY_TAG] = deliveryTag;
  const messageId = optionalText(properties?.messageId);
  if (messageId !== undefined) attributes[MESSAGING_MESSAGE_ID] = messageId;
  const correlationId = optionalText(properties?.correlationId);
  if (correlationId !== undefined) attributes[MESSAGING_MESSAGE_CONVERSATION_ID] = correlationId;
  return attributes;
}
