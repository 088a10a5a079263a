import { describe, expect, test } from 'vitest';
import { Deliveries, type Delivery, Sweeper } from '../../src/messaging/deliveries';

/** Entries that note in `ended` which of them was ended, and with what. */
function make(capacity = 100) {
  const ended: [number, unknown][] = [];
  const deliveries = new Deliveries<Delivery>(capacity);
  const add = (tag: number, turn = 0) => deliveries.add(tag, { turn, end: (error) => ended.push([tag, error]) });
  return { deliveries, ended, add };
}

describe('Deliveries', () => {
  test('settle ends one, once', () => {
    const { deliveries, ended, add } = make();
    add(1);
    add(2);
    deliveries.settle(2);
    deliveries.settle(2);
    deliveries.settle(7);
    expect(ended).toEqual([[2, undefined]]);
    expect(deliveries.size).toBe(1);
    expect(deliveries.get(1)).toBeDefined();
  });

  test('settleUpTo ends those up to a tag, in order, and looks at no others', () => {
    const { deliveries, ended, add } = make();
    for (const tag of [1, 2, 4, 5]) add(tag);
    expect([...deliveries.upTo(3)]).toHaveLength(2);
    const error = new Error('lost');
    deliveries.settleUpTo(3, error);
    expect(ended).toEqual([
      [1, error],
      [2, error],
    ]);
    deliveries.settleUpTo(Number.POSITIVE_INFINITY);
    expect(deliveries.size).toBe(0);
  });

  test('beyond the capacity the oldest is ended', () => {
    const { deliveries, ended, add } = make(3);
    for (let tag = 1; tag <= 5; tag++) add(tag);
    expect(ended).toEqual([
      [1, undefined],
      [2, undefined],
    ]);
    expect(deliveries.size).toBe(3);
  });

  test('expire ends what is too old', () => {
    const { deliveries, ended, add } = make();
    add(1, 1);
    add(2, 2);
    add(3, 3);
    deliveries.expire(2);
    expect(ended.map(([tag]) => tag)).toEqual([1, 2]);
  });
});

describe('Sweeper', () => {
  function start(timeoutMs: number) {
    const timers: { turn: () => void; intervalMs: number; stopped: boolean }[] = [];
    const sweeper = new Sweeper(timeoutMs, (turn, intervalMs) => {
      const timer = { turn, intervalMs, stopped: false };
      timers.push(timer);
      return () => {
        timer.stopped = true;
      };
    });
    return { sweeper, timers };
  }

  test('has one timer while there are messages, and ends them after their time and no earlier', () => {
    const { sweeper, timers } = start(1000);
    const channels = [make(), make()];
    expect(timers).toEqual([]);
    for (const { deliveries, add } of channels) {
      add(1, sweeper.turn);
      sweeper.watch(deliveries);
    }
    expect(timers).toMatchObject([{ intervalMs: 100 }]);
    for (let turn = 1; turn <= 10; turn++) timers[0]!.turn();
    expect(channels.map(({ deliveries }) => deliveries.size)).toEqual([1, 1]);
    timers[0]!.turn();
    expect(channels.map(({ deliveries }) => deliveries.size)).toEqual([0, 0]);
    expect(timers[0]!.stopped).toBe(true);

    channels[0]!.add(2, sweeper.turn);
    sweeper.watch(channels[0]!.deliveries);
    expect(timers).toHaveLength(2);
  });

  test('stops when all is settled', () => {
    const { sweeper, timers } = start(5);
    const { deliveries, add } = make();
    add(1);
    sweeper.watch(deliveries);
    deliveries.settle(1);
    timers[0]!.turn();
    expect(timers).toMatchObject([{ intervalMs: 1, stopped: true }]);
  });

  test('never starts without a timeout', () => {
    const { sweeper, timers } = start(0);
    const { deliveries, add } = make();
    add(1);
    sweeper.watch(deliveries);
    expect(timers).toEqual([]);
  });
});
