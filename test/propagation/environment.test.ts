import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setLogLevel, setLogSink } from '../../src/log';
import { createPropagator } from '../../src/propagation/composite';
import { environmentName, fromEnvironment, propagationVariables } from '../../src/propagation/environment';
import { loadPropagator } from '../../src/propagation/load';
import { activeContext, ROOT_CONTEXT, runInContext, setInitialContext } from '../../src/trace/context';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const PARENT = `00-${TRACE}-${SPAN}-01`;

let lines: string[] = [];
beforeEach(() => {
  lines = [];
  setLogSink((line) => void lines.push(line));
  setLogLevel('debug');
});
afterEach(() => {
  setLogSink(undefined);
  setLogLevel('warn');
});

const standard = createPropagator(['tracecontext', 'baggage']);
const told = (env: Record<string, string>, propagator = standard): string | undefined => {
  const { identity } = fromEnvironment(propagator, env);
  return identity && `${identity.traceId}-${identity.spanId}-${identity.sampled}-${identity.isRemote}`;
};

describe('environmentName', () => {
  it.each([
    ['traceparent', 'TRACEPARENT'],
    ['x-b3-traceid', 'X_B3_TRACEID'],
    ['uber-trace-id', 'UBER_TRACE_ID'],
    ['Ot.Täg/1', 'OT_T_G_1'],
    ['3scale', '_3SCALE'],
    ['', '_'],
  ])('%s: %s', (field, name) => {
    expect(environmentName(field)).toBe(name);
  });
});

describe('fromEnvironment', () => {
  it('reads the trace, its state and baggage', () => {
    const env = { TRACEPARENT: PARENT, TRACESTATE: 'a=1', BAGGAGE: 'k=v' };
    const context = fromEnvironment(standard, env);
    expect(context.identity?.spanContext()).toMatchObject({
      traceId: TRACE,
      spanId: SPAN,
      traceFlags: 1,
      isRemote: true,
    });
    expect(context.identity?.traceState?.serialize()).toBe('a=1');
    const sent: Record<string, string> = {};
    standard.inject(context, (name, value) => {
      sent[name] = value;
    });
    expect(sent).toEqual({ traceparent: PARENT, tracestate: 'a=1', baggage: 'k=v' });
    expect(lines).toEqual([`hookline: the environment names the trace ${TRACE}; continuing it\n`]);
  });

  it('reads the variables of other propagators', () => {
    const of = (...names: string[]) => createPropagator(names, loadPropagator);
    const expected = `${TRACE}-${SPAN}-true-true`;
    expect(told({ X_B3_TRACEID: TRACE, X_B3_SPANID: SPAN, X_B3_SAMPLED: '1' }, of('b3multi'))).toBe(expected);
    expect(told({ B3: `${TRACE}-${SPAN}-1` }, of('b3'))).toBe(expected);
    expect(told({ UBER_TRACE_ID: `${TRACE}:${SPAN}:0:1` }, of('jaeger', 'tracecontext'))).toBe(expected);
    expect(told({ TRACEPARENT: PARENT }, of('b3', 'tracecontext'))).toBe(expected);
    expect(told({ TRACEPARENT: PARENT }, of('b3'))).toBeUndefined();
    expect(told({ TRACEPARENT: PARENT }, of())).toBeUndefined();
  });

  it.each<[string, Record<string, string>, string[]]>([
    ['nothing', {}, []],
    ['empty variables', { TRACEPARENT: '', TRACESTATE: '', BAGGAGE: '' }, []],
    ['lower case, which is not the name', { traceparent: PARENT }, []],
    [
      'an invalid parent',
      { TRACEPARENT: `${PARENT}\n`, TRACESTATE: 'a=1' },
      ['hookline: no valid trace in TRACEPARENT, TRACESTATE of the environment; ignoring it\n'],
    ],
    [
      'a state without a parent',
      { TRACESTATE: 'a=1' },
      ['hookline: no valid trace in TRACESTATE of the environment; ignoring it\n'],
    ],
    ['baggage that is none', { BAGGAGE: 'a\r\nb' }, []],
  ])('%s: the root context', (_title, env, expected) => {
    expect(fromEnvironment(standard, env)).toBe(ROOT_CONTEXT);
    expect(lines).toEqual(expected);
  });

  it('takes baggage without a trace', () => {
    const sent: string[] = [];
    standard.inject(fromEnvironment(standard, { BAGGAGE: 'k=v' }), (name, value) => void sent.push(name, value));
    expect(sent).toEqual(['baggage', 'k=v']);
  });
});

describe('propagationVariables', () => {
  it('has all of them, set or not', () => {
    expect(propagationVariables(standard, { TRACEPARENT: 'x', OTHER: 'y' })).toEqual({
      TRACEPARENT: 'x',
      TRACESTATE: undefined,
      BAGGAGE: undefined,
    });
  });
});

describe('setInitialContext', () => {
  afterEach(() => setInitialContext(ROOT_CONTEXT));

  it('is active where nothing else is', () => {
    const initial = fromEnvironment(standard, { TRACEPARENT: PARENT });
    setInitialContext(initial);
    expect(activeContext()).toBe(initial);
    runInContext(ROOT_CONTEXT, () => expect(activeContext()).toBe(ROOT_CONTEXT));
  });
});
