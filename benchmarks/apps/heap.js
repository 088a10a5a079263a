// Makes as many spans as it is told through the OpenTelemetry API, as an application would, and lets them be exported.
const { setImmediate: turn } = require('node:timers/promises');
const { ready } = require('./measure.js');

const tracer = globalThis[Symbol.for('opentelemetry.js.api.1')].trace.getTracer('bench');

ready({}, async (count) => {
  for (let i = 0; i < count; i++) {
    tracer.startActiveSpan('step', (span) => {
      span.setAttribute('app.step', i);
      span.setAttribute('app.name', `step ${i % 1000}`);
      span.end();
    });
    if (i % 256 === 255) await turn();
  }
});
