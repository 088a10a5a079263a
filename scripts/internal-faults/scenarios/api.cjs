const api = require('@opentelemetry/api');
const { outcome } = require('./tools.cjs');

// An application that makes spans of its own. Without the agent they record nothing, so what is compared is what the calls
// return and throw, and what the application's own functions are called with.
exports.start = async () => ({
  async round(seen) {
    const { context, propagation, trace } = api;
    const tracer = trace.getTracer('app', '1.2.3', { schemaUrl: 'https://schema.test/1' });
    const key = api.createContextKey('own');
    const isSpan = (span) => typeof span?.end === 'function' && typeof span.spanContext().traceId === 'string';
    const own = new Error('on purpose');

    const span = tracer.startSpan('manual', {
      kind: api.SpanKind.CLIENT,
      attributes: { 'app.id': 7 },
      links: [{ context: { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 } }],
      startTime: new Date(),
    });
    seen.span = isSpan(span);
    seen.chained = [
      span.setAttribute('app.flag', true),
      span.setAttributes({ 'app.list': ['a', 'b'], 'app.none': undefined }),
      span.addEvent('happened', { 'app.size': 1 }, Date.now()),
      span.addEvent('happened again', Date.now()),
      span.addLink({ context: span.spanContext() }),
      span.addLinks([{ context: span.spanContext(), attributes: { 'app.link': 1 } }]),
      span.setStatus({ code: api.SpanStatusCode.ERROR, message: 'no luck' }),
      span.updateName('renamed'),
    ].map((returned) => returned === span);
    span.recordException(own);
    span.recordException('text', Date.now());
    seen.isRecording = typeof span.isRecording();

    seen.root = isSpan(tracer.startSpan('root', { root: true }, context.active()));
    seen.suppressed = isSpan(
      tracer.startSpan('child', {}, trace.setSpan(api.ROOT_CONTEXT, trace.wrapSpanContext(span.spanContext()))),
    );
    seen.active = [
      tracer.startActiveSpan('one', (inner) => [isSpan(inner), inner.end()]),
      tracer.startActiveSpan('two', {}, (inner) => [isSpan(inner), inner.end()]),
      tracer.startActiveSpan('three', {}, context.active(), (inner) => [isSpan(inner), inner.end()]),
    ];
    seen.thrown = await outcome(() =>
      tracer.startActiveSpan('throws', (inner) => {
        inner.end();
        throw own;
      }),
    );
    seen.later = await outcome(
      tracer.startActiveSpan('later', async (inner) => {
        await null;
        inner.end();
        return 'later';
      }),
    );

    const made = trace.setSpan(context.active().setValue(key, 'mine'), span);
    seen.context = [made.getValue(key), trace.getSpan(made) === span, made.deleteValue(key).getValue(key) ?? null];
    seen.with = context.with(
      made,
      function (...args) {
        return [this.name, args];
      },
      { name: 'this' },
      1,
      2,
    );
    seen.withThrown = await outcome(() =>
      context.with(made, () => {
        throw own;
      }),
    );
    const bound = context.bind(made, function named(a, b) {
      return [this?.name, a, b];
    });
    seen.bound = [bound.call({ name: 'this' }, 1, 2), bound.name, bound.length];
    const emitter = new (require('node:events'))();
    seen.emitter = context.bind(made, emitter) === emitter;
    const heard = [];
    emitter.on('event', (...args) => heard.push(args));
    seen.emitted = [emitter.emit('event', 1, 2), heard];
    seen.isActive = typeof context.active().getValue;

    const carrier = {};
    seen.inject = propagation.inject(made, carrier) ?? null;
    seen.extract = typeof propagation.extract(context.active(), {
      traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
      baggage: 'own=mine',
    }).getValue;
    seen.fields = Array.isArray(propagation.fields());
    seen.baggage = propagation
      .getBaggage(propagation.setBaggage(api.ROOT_CONTEXT, propagation.createBaggage({ own: { value: 'mine' } })))
      .getEntry('own').value;

    seen.ended = [span.end(), span.end(Date.now())];
  },
  async stop() {},
});
