import { beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config';
import { Guard } from '../../src/hook/guard';
import type { Operation, TraceContext } from '../../src/hook/instrumentation';
import { InstrumentationTracing } from '../../src/hook/tracing';
import { setLogSink } from '../../src/log';
import { createPropagator } from '../../src/propagation/composite';
import { PropagationHosts } from '../../src/propagation/hosts';
import type { Resource } from '../../src/resource';
import { ALWAYS_OFF, ALWAYS_ON, type Sampler } from '../../src/trace/sampler';
import type { Span } from '../../src/trace/span';
import { TracerProvider } from '../../src/trace/tracer';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

let ended: Span[] = [];
let guard = new Guard('test');

function makeTracing(sampler: Sampler = ALWAYS_ON, hosts?: PropagationHosts): InstrumentationTracing {
  const { config } = loadConfig({});
  const provider = new TracerProvider({
    resource: {} as Resource,
    sampler,
    limits: config.limits,
    processor: { onEnd: (span) => void ended.push(span) },
  });
  return new InstrumentationTracing({
    config,
    guard,
    tracer: provider.getTracer('test'),
    propagator: createPropagator(config.propagators),
    hosts,
    subscribe: () => {},
  });
}

beforeEach(() => {
  ended = [];
  guard = new Guard('test');
});

const producer = (tracing: InstrumentationTracing): TraceContext =>
  tracing.extract((name) => (name === 'traceparent' ? `00-${TRACE_ID}-${SPAN_ID}-01` : undefined));

const operation = (links: Operation['links']): Operation => ({
  kind: 4,
  name: () => 'process orders',
  ...(links && { links }),
  attributes: () => ({}),
});

describe('links of an operation', () => {
  it('name the spans of the contexts; one without a span is left out', () => {
    const tracing = makeTracing();
    const begun = tracing.begin(
      operation(() => [producer(tracing), tracing.active()]),
      { self: undefined, args: [] },
    );
    begun?.done();
    expect(ended).toHaveLength(1);
    expect(ended[0]?.links).toHaveLength(1);
    expect(ended[0]?.links[0]?.context).toMatchObject({ traceId: TRACE_ID, spanId: SPAN_ID, isRemote: true });
    expect(ended[0]?.links[0]).toMatchObject({ attributes: {}, droppedAttributesCount: 0 });
    expect(ended[0]?.identity.traceId).not.toBe(TRACE_ID);
  });

  it('are not asked for when the span does not record', () => {
    const tracing = makeTracing(ALWAYS_OFF);
    let asked = 0;
    const begun = tracing.begin(
      operation(() => {
        asked++;
        return [];
      }),
      { self: undefined, args: [] },
    );
    begun?.done();
    expect({ asked, ended: ended.length, context: begun?.context.identity?.sampled }).toEqual({
      asked: 0,
      ended: 0,
      context: false,
    });
  });

  it('that throw count as a failure of the instrumentation and cost the call nothing', () => {
    setLogSink(() => {});
    const tracing = makeTracing();
    const owner = { send: (text: string) => `sent ${text}` };
    tracing.span(
      owner,
      'send',
      operation(() => {
        throw new Error('on purpose');
      }),
    );
    expect(owner.send('a')).toBe('sent a');
    expect(guard.failures).toBe(1);
    setLogSink(undefined);
  });
});

describe('muting', () => {
  it("goes on in the caller's trace, and records nothing below", () => {
    const tracing = makeTracing();
    const context = tracing.mute((name) => (name === 'traceparent' ? `00-${TRACE_ID}-${SPAN_ID}-01` : undefined));
    expect(context.identity).toMatchObject({ traceId: TRACE_ID, spanId: SPAN_ID, sampled: true });
    const sent: Record<string, string> = {};
    const call: Operation = {
      ...operation(undefined),
      inject: (_call, write) =>
        write((name, value) => {
          sent[name] = value;
        }),
    };
    tracing.run(context, () => tracing.begin(call, { self: undefined, args: [] })?.done(), undefined, []);
    expect(sent).toEqual({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` });
    expect(ended).toEqual([]);
  });

  it('starts a trace that is not sampled where the caller has none', () => {
    const context = makeTracing().mute(() => undefined);
    expect(context.suppressed).toBe(true);
    expect(context.identity).toMatchObject({ sampled: false, traceId: expect.stringMatching(/^[0-9a-f]{32}$/) });
  });
});

describe('who is sent the fields', () => {
  const client = (receiver: Operation['receiver'], sent: string[]): Operation => ({
    kind: 2,
    name: () => 'call',
    attributes: () => ({}),
    ...(receiver && { receiver }),
    inject: (_call, write) => write((name) => void sent.push(name)),
  });
  const sentTo = (receiver: Operation['receiver'], hosts?: PropagationHosts): string[] => {
    const sent: string[] = [];
    const tracing = makeTracing(ALWAYS_ON, hosts);
    tracing.begin(client(receiver, sent), { self: undefined, args: [] })?.done();
    expect(ended).toHaveLength(1);
    return sent;
  };
  const only = (host: string) => new PropagationHosts({ allowed: [host], excluded: [] });

  it('is nobody but the hosts of the lists', () => {
    expect(sentTo(() => ({ host: 'a.test', port: 80 }), only('a.test'))).toEqual(['traceparent']);
    ended = [];
    expect(sentTo(() => ({ host: 'b.test', port: 80 }), only('a.test'))).toEqual([]);
    ended = [];
    expect(sentTo(() => undefined, only('a.test'))).toEqual([]);
  });

  it('is not asked for without lists, and everybody where there is nobody to ask for', () => {
    const never = (): never => {
      throw new Error('asked');
    };
    expect(sentTo(never)).toEqual(['traceparent']);
    expect(guard.failures).toBe(0);
    ended = [];
    expect(sentTo(undefined, only('a.test'))).toEqual(['traceparent']);
  });

  it('is nobody when the asking fails, which costs the call nothing', () => {
    setLogSink(() => {});
    const fail = (): never => {
      throw new Error('on purpose');
    };
    expect(sentTo(fail, only('a.test'))).toEqual([]);
    expect(guard.failures).toBe(1);
    setLogSink(undefined);
  });

  it('holds for contexts that are handed on without a span', () => {
    const tracing = makeTracing(ALWAYS_ON, only('a.test'));
    const sent: string[] = [];
    const pass = (host: string): void =>
      tracing.inject(
        producer(tracing),
        (name) => void sent.push(`${host} ${name}`),
        () => ({ host, port: 80 }),
      );
    pass('a.test');
    pass('b.test');
    tracing.inject(producer(tracing), (name) => void sent.push(name));
    expect(sent).toEqual(['a.test traceparent', 'traceparent']);
  });
});

describe('claimed connections', () => {
  it('are known to every instrumentation and look as before', () => {
    const connection = Object.freeze({ port: 1 });
    const [grpc, http2] = [makeTracing(), makeTracing()];
    expect(http2.isClaimed(connection)).toBe(false);
    grpc.claim(connection);
    expect([grpc.isClaimed(connection), http2.isClaimed(connection), http2.isClaimed({})]).toEqual([true, true, false]);
    expect(Reflect.ownKeys(connection)).toEqual(['port']);
  });
});
