// node span.js <bundle of lib/span-core.ts> inputs|automatic|manual <count>
const [, , bundle, mode, count] = process.argv;
const { createSampler, encodeResource, ROOT_CONTEXT, SpanBatch, TracerProvider } = require(bundle);

const CLIENT = 2;
const SPANS_PER_REQUEST = 512;

const resource = { attributes: { 'service.name': 'bench' } };
const resourceBytes = encodeResource(resource);
let batch = new SpanBatch();
let bytes = 0;

const processor = {
  onEnd(span) {
    batch.add(span);
    if (batch.spanCount < SPANS_PER_REQUEST) return;
    bytes += batch.toRequest(resourceBytes).length;
    batch = new SpanBatch();
  },
};
const limits = {
  attributeCountLimit: 128,
  attributeValueLengthLimit: 16_384,
  eventCountLimit: 128,
  linkCountLimit: 128,
  attributePerEventCountLimit: 128,
  attributePerLinkCountLimit: 128,
};
const sampler = createSampler({ name: 'parentbased_always_on', ratio: 1 });
const tracer = new TracerProvider({ resource, sampler, limits, processor }).getTracer('bench', '1.0.0');

/** Differs from span to span where real ones do. */
function attributesOf(i) {
  return {
    'http.request.method': 'GET',
    'url.full': `http://catalog.example:8080/products/${i % 1000}`,
    'server.address': 'catalog.example',
    'server.port': 8080,
    'http.response.status_code': 200,
    'network.protocol.version': '1.1',
    'network.peer.address': '10.1.2.3',
    'network.peer.port': 8080,
  };
}

const modes = {
  inputs(i) {
    const startMs = performance.now();
    const attributes = attributesOf(i);
    bytes += attributes['url.full'].length + performance.now() - startMs;
  },
  automatic(i) {
    const identity = tracer.decide(ROOT_CONTEXT, 'GET', CLIENT, undefined, undefined);
    tracer.record(identity, undefined, 'GET', CLIENT, attributesOf(i)).end();
  },
  manual(i) {
    const span = tracer.startSpan('GET', { kind: CLIENT }, ROOT_CONTEXT);
    span.setAttributes(attributesOf(i));
    span.end();
  },
};

const once = modes[mode];
const measure = (spans) => {
  const before = process.cpuUsage();
  for (let i = 0; i < spans; i++) once(i);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / spans;
};
measure(100_000);
const ns = measure(Number(count));
if (!(bytes > 0)) throw new Error('nothing was encoded');
process.stdout.write(JSON.stringify({ ns, bytes }));
