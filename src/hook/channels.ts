import { subscribe } from 'node:diagnostics_channel';
import { noteHookFailure } from './hook-failure';

type Listener = (message: unknown) => void;

/**
 * Subscriptions to `diagnostics_channel`, one per channel however many listeners: a listener added while a message is
 * being delivered gets that message too, so the first message of a channel can be what loads its instrumentation.
 */
export class Channels {
  readonly #listeners = new Map<string, Listener[]>();

  /** A listener that throws keeps the message from those behind it, and from nobody else. */
  on(channel: string, listener: Listener): void {
    const existing = this.#listeners.get(channel);
    if (existing !== undefined) {
      existing.push(listener);
      return;
    }
    const listeners = [listener];
    this.#listeners.set(channel, listeners);
    subscribe(channel, (message) => {
      try {
        for (let i = 0; i < listeners.length; i++) (listeners[i] as Listener)(message);
      } catch (error) {
        // Node would make an uncaught exception of it.
        noteHookFailure(`a subscription to ${channel}`, error);
      }
    });
  }

  /** Calls `load` with the first message, before the listeners that it adds. */
  onFirst(channel: string, load: () => void): void {
    let first = true;
    this.on(channel, () => {
      if (!first) return;
      first = false;
      load();
    });
  }
}
