import { describe, expect, test } from 'vitest';
import { consumeDestination, nameTarget, sendDestination, traitsOf } from '../../src/messaging/rabbitmq';

describe('destinations', () => {
  test.each([
    ['orders', 'created', 'orders:created'],
    ['orders', '', 'orders'],
    ['', 'queue', 'queue'],
    ['', '', 'amq.default'],
  ])('of sending: %j and %j are %j', (exchange, routingKey, expected) => {
    expect(sendDestination(exchange, routingKey)).toBe(expected);
  });

  test.each([
    ['orders', 'created', 'mail', 'orders:created:mail'],
    ['orders', '', 'mail', 'orders:mail'],
    ['orders', 'mail', 'mail', 'orders:mail'],
    ['', 'mail', 'mail', 'mail'],
    ['', '', 'mail', 'mail'],
    ['', 'alias', 'mail', 'alias:mail'],
    ['orders', 'created', '', 'orders:created'],
    ['', '', '', 'amq.default'],
  ])('of consuming: %j, %j and %j are %j', (exchange, routingKey, queue, expected) => {
    expect(consumeDestination(exchange, routingKey, queue)).toBe(expected);
  });
});

test('what a queue’s name says', () => {
  expect(traitsOf('orders')).toEqual({ anonymous: false, temporary: false });
  expect(traitsOf('amq.direct')).toEqual({ anonymous: false, temporary: false });
  expect(traitsOf('amq.gen-abc')).toEqual({ anonymous: true, temporary: false });
  expect(traitsOf('amq.rabbitmq.reply-to')).toEqual({ anonymous: true, temporary: true });
  expect(traitsOf('amq.rabbitmq.reply-to.g2dk')).toEqual({ anonymous: true, temporary: true });
});

test('names take the queue when it lasts, else the exchange', () => {
  expect(nameTarget('orders', 'mail', true)).toBe('mail');
  expect(nameTarget('orders', 'amq.gen-1', false)).toBe('orders');
  expect(nameTarget('orders', '', true)).toBe('orders');
  expect(nameTarget('', 'amq.gen-1', false)).toBe('');
});
