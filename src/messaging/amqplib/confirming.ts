import type { Begun, Tracing } from '../../hook/instrumentation';
import type { Delivery } from '../deliveries';
import { before } from './before';
import { stateFor, stateOf } from './channel-state';
import type { Failure } from './failure';
import type { Channel } from './library';

const NACKED: Failure = { code: 'nack', message: 'message nacked' };

type ConfirmHandle = (callback: (error: unknown) => void) => void;

interface ConfirmFrame {
  readonly deliveryTag: number;
  readonly multiple: boolean;
}

/** Ends the spans of published messages with the broker's confirmations. */
export function patchConfirms(prototype: object, tracing: Tracing): void {
  before(prototype, 'handleConfirm', tracing, (channel, [handle, frame]) => {
    confirm(channel, handle as ConfirmHandle, frame as ConfirmFrame);
  });
}

/** Confirmations arrive in the socket's context. */
export function bindConfirms(prototype: object, tracing: Tracing): void {
  tracing.bind(prototype, 'publish');
  tracing.bind(prototype, 'waitForConfirms');
}

class Unconfirmed implements Delivery {
  /** Nobody sweeps these. */
  readonly turn = 0;
  readonly #begun: Begun;

  constructor(begun: Begun) {
    this.#begun = begun;
  }

  end(error?: unknown): void {
    this.#begun.end(error);
  }
}

/** Takes a published message's number; its span then ends with the confirmation. */
export function awaitConfirm(channel: Channel, begun: Begun | undefined): void {
  const state = stateFor(channel);
  // The broker counts every message, traced or not.
  const number = state.nextConfirm++;
  if (begun?.span !== undefined) state.unconfirmed.add(number, new Unconfirmed(begun));
}

function confirm(channel: object, handle: ConfirmHandle, { deliveryTag, multiple }: ConfirmFrame): void {
  const unconfirmed = stateOf.get(channel)?.unconfirmed;
  if (unconfirmed === undefined || unconfirmed.size === 0) return;
  let error: unknown;
  // amqplib's handler hands every callback null or an error: that is the one sign here of an ack or a nack.
  handle((reason) => {
    error = reason;
  });
  const failure = error === null || error === undefined ? undefined : NACKED;
  if (multiple) unconfirmed.settleUpTo(deliveryTag === 0 ? Number.POSITIVE_INFINITY : deliveryTag, failure);
  else unconfirmed.settle(deliveryTag, failure);
}
