import { expect, test } from 'vitest';
import { brokerOf } from '../../src/messaging/broker';

test.each([
  [undefined, 'localhost', 5672],
  [false, 'localhost', 5672],
  ['amqp://localhost', 'localhost', 5672],
  ['amqps://mq.example', 'mq.example', 5671],
  ['amqp://user:secret@mq.example:5673/vhost?heartbeat=5', 'mq.example', 5673],
  ['amqp://', 'localhost', 5672],
  ['amqp:///vhost', 'localhost', 5672],
  ['amqp://[::1]:5673', '::1', 5673],
  [{ hostname: 'mq.example', username: 'user', password: 'secret' }, 'mq.example', 5672],
  [{ protocol: 'amqps', hostname: 'mq.example' }, 'mq.example', 5671],
  [{ protocol: 'amqp', port: '5673' }, 'localhost', 5673],
])('%j is at %s:%d', (target, address, port) => {
  expect(brokerOf(target)).toEqual({ address, port });
});

test.each([
  ['not a URL'],
  ['amqp://user:12/34@mq.example'],
  ['amqp://user:12?34@mq.example'],
  ['amqp://user:12#34@mq.example'],
  [7],
])('%j tells nothing, and nothing of it is told', (target) => {
  expect(brokerOf(target)).toEqual({ address: undefined, port: undefined });
});
