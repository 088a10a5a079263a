import type { Begun, Done, TraceContext } from '../../hook/instrumentation';
import { Foreign } from '../../hook/stamp';
import { Deliveries, type Delivery } from '../deliveries';
import type { Failure } from './failure';
import type { Channel } from './library';
import { type Link, linkFor, linkOf } from './link';
import type { Place } from './place';

/** Messages of one channel whose spans are open, delivered and unconfirmed each. About 1 KB a message. */
const MAX_OPEN = 10_000;

const CHANNEL_CLOSED: Failure = { code: 'channel-error', message: 'channel closed' };

/** What is remembered of a channel. */
export interface ChannelState {
  readonly link: Link;
  /** By consumer tag. */
  readonly consumers: Map<string, Consumer>;
  readonly deliveries: Deliveries<OpenMessage>;
  /** Published messages that wait for the broker's confirmation, by the number that it will give. */
  readonly unconfirmed: Deliveries<Delivery>;
  /** `get` calls that wait for their answer. */
  readonly gets: Set<Done>;
  /** The number of the next published message. */
  nextConfirm: number;
  /** What an empty queue name means in AMQP. */
  lastDeclared: string;
  /** The frames that arrive are those of a message that the broker could not route. */
  isReturning: boolean;
  returned: TraceContext | undefined;
  failure: Failure | undefined;
}

interface Consumer {
  readonly queue: string;
  readonly noAck: boolean;
}

/** A message handed to a handler and not yet settled. */
export class OpenMessage implements Delivery {
  readonly #begun: Begun | undefined;

  /** `begun`: what ends with the settling; `undefined` where the span is the handler's. */
  constructor(
    begun: Begun | undefined,
    readonly turn: number,
    readonly place: Place,
    readonly creation: TraceContext,
  ) {
    this.#begun = begun;
  }

  end(error?: unknown): void {
    this.#begun?.end(error);
  }
}

/** On channels. */
class StateStamp extends Foreign {
  #state: ChannelState | undefined;

  static get(channel: object): ChannelState | undefined {
    return #state in channel ? (channel as StateStamp).#state : undefined;
  }

  static set(channel: object, state: ChannelState): void {
    new StateStamp(channel).#state = state;
  }
}

export const stateOf = StateStamp;

export function stateFor(channel: Channel): ChannelState {
  let state = stateOf.get(channel);
  if (state === undefined) {
    state = {
      link: linkFor(channel.connection),
      consumers: new Map(),
      deliveries: new Deliveries(MAX_OPEN),
      unconfirmed: new Deliveries(MAX_OPEN),
      gets: new Set(),
      nextConfirm: 1,
      lastDeclared: '',
      isReturning: false,
      returned: undefined,
      failure: undefined,
    };
    stateOf.set(channel, state);
  }
  return state;
}

/** Ends what is open on a channel that is no more. */
export function endAll(channel: Channel): void {
  const state = stateOf.get(channel);
  if (state === undefined) return;
  const failure = state.failure ?? linkOf.get(channel.connection)?.failure;
  state.deliveries.settleUpTo(Number.POSITIVE_INFINITY, failure);
  // Nobody will know whether these arrived.
  state.unconfirmed.settleUpTo(Number.POSITIVE_INFINITY, failure ?? CHANNEL_CLOSED);
  for (const done of state.gets) done(failure ?? CHANNEL_CLOSED);
  state.gets.clear();
  state.consumers.clear();
}
