// Spans of the application's own, and contexts that outlive them.
const { context, propagation, trace } = require('@opentelemetry/api');
const { leftBehind } = require('./tools.cjs');

module.exports = () => {
  const tracer = trace.getTracer('leaks');
  const timers = leftBehind(clearInterval, 50);
  const listeners = leftBehind((emitter) => emitter.removeAllListeners(), 50);
  const { EventEmitter } = require('node:events');
  const variants = {
    ended: () =>
      tracer.startActiveSpan('ended', async (span) => {
        await undefined;
        span.end();
      }),
    'with events and links': async () =>
      tracer.startActiveSpan('full', { attributes: { a: 1 } }, async (span) => {
        await undefined;
        span.addEvent('event', { b: 2 }).addLink({ context: span.spanContext() });
        span.recordException(new Error('recorded'));
        span.setStatus({ code: 2 }).end();
      }),
    'never ended': async () => {
      tracer.startSpan('never ended');
    },
    'never ended, active': () => tracer.startActiveSpan('never ended', () => new Promise(setImmediate)),
    'timer outlives it': async () =>
      tracer.startActiveSpan('timer', (span) => {
        timers(setInterval(() => {}, 1_000).unref());
        span.end();
      }),
    'listener outlives it': async () =>
      tracer.startActiveSpan('listener', (span) => {
        listeners(context.bind(context.active(), new EventEmitter()).on('event', () => span));
        span.end();
      }),
    'own values': () =>
      context.with(
        propagation.setBaggage(context.active(), propagation.createBaggage({ key: { value: 'value' } })),
        () =>
          tracer.startActiveSpan(
            'baggage',
            (span) => new Promise((resolve) => setImmediate(() => resolve(span.end()))),
          ),
      ),
  };
  return { variants, close() {} };
};
