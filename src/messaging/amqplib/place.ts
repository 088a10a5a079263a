import type { Attributes } from '@opentelemetry/api';
import { createStamp } from '../../hook/stamp';
import {
  MESSAGING_DESTINATION_ANONYMOUS,
  MESSAGING_DESTINATION_NAME,
  MESSAGING_DESTINATION_TEMPORARY,
  MESSAGING_OPERATION_NAME,
  MESSAGING_OPERATION_TYPE,
  MESSAGING_RABBITMQ_ROUTING_KEY,
  MESSAGING_SYSTEM,
} from '../../semconv';
import { AttributeBlock, type AttributeBlocks } from '../../trace/attribute-block';
import { consumeDestination, nameTarget, type QueueTraits, sendDestination, traitsOf } from '../rabbitmq';

/** `messaging.system`. */
export const RABBITMQ = 'rabbitmq';

/** `messaging.operation.type` of the operations that places describe. */
export type OperationType = 'send' | 'process' | 'receive' | 'settle';

/** The queue that a message was got from; delivered ones name their consumer. */
export const queueOf = createStamp<string>();

/** Where a message came from or goes, for attributes and names. */
export class Place {
  readonly traits: QueueTraits;
  readonly #isLasting: boolean;
  /** One for each operation that was done here; there are at most five. */
  readonly #descriptions: Description[] = [];

  /** `queues`: those that do not last, with their traits where they are known. */
  constructor(
    readonly exchange: string,
    readonly routingKey: string,
    readonly queue: string,
    queues: ReadonlyMap<string, QueueTraits | undefined>,
  ) {
    this.traits = queues.get(queue) ?? traitsOf(queue);
    this.#isLasting = !this.traits.anonymous && !this.traits.temporary && !queues.has(queue);
  }

  is(exchange: string, routingKey: string, queue: string): boolean {
    return this.routingKey === routingKey && this.queue === queue && this.exchange === exchange;
  }

  spanName(operation: string): string {
    const target = nameTarget(this.exchange, this.queue, this.#isLasting);
    return target === '' ? operation : `${operation} ${target}`;
  }

  /** What the spans of an operation here have in common. */
  description(operation: string, type: OperationType): Description {
    const descriptions = this.#descriptions;
    for (let i = 0; i < descriptions.length; i++) {
      const known = descriptions[i] as Description;
      if (known.operation === operation) return known;
    }
    const made = new Description(operation, type, this);
    descriptions.push(made);
    return made;
  }
}

/** An operation at a place. */
export class Description {
  readonly name: string;
  readonly #type: OperationType;
  readonly #place: Place;
  #isKnown = false;
  #block: AttributeBlock | undefined = undefined;

  constructor(
    readonly operation: string,
    type: OperationType,
    place: Place,
  ) {
    this.name = place.spanName(operation);
    this.#type = type;
    this.#place = place;
  }

  /** The first time to `attributes`, then as a block: many routing keys are used once. */
  addTo(attributes: Attributes, blocks: AttributeBlocks): void {
    if (this.#isKnown) {
      this.#block ??= new AttributeBlock(this.attributes());
      blocks.add(this.#block);
    } else {
      this.#isKnown = true;
      Object.assign(attributes, this.attributes());
    }
  }

  attributes(): Attributes {
    const { exchange, routingKey, queue, traits } = this.#place;
    const type = this.#type;
    const attributes: Attributes = {
      [MESSAGING_SYSTEM]: RABBITMQ,
      [MESSAGING_OPERATION_NAME]: this.operation,
      [MESSAGING_OPERATION_TYPE]: type,
      [MESSAGING_DESTINATION_NAME]:
        type === 'send' ? sendDestination(exchange, routingKey) : consumeDestination(exchange, routingKey, queue),
    };
    if (type === 'settle') return attributes;
    if (routingKey !== '') attributes[MESSAGING_RABBITMQ_ROUTING_KEY] = routingKey;
    if (traits.anonymous) attributes[MESSAGING_DESTINATION_ANONYMOUS] = true;
    if (traits.temporary) attributes[MESSAGING_DESTINATION_TEMPORARY] = true;
    return attributes;
  }
}
