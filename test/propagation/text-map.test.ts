import {
  ROOT_CONTEXT as API_ROOT,
  type Context,
  createContextKey,
  defaultTextMapGetter,
  defaultTextMapSetter,
  propagation,
  trace,
} from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { createPropagator } from '../../src/propagation/composite';
import { toTextMapPropagator } from '../../src/propagation/text-map';
import { ROOT_CONTEXT } from '../../src/trace/context';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const propagator = toTextMapPropagator(createPropagator(['tracecontext', 'baggage']));
const key = createContextKey('test key');

const inject = (context: Context): Record<string, string> => {
  const carrier = {};
  propagator.inject(context, carrier, defaultTextMapSetter);
  return carrier;
};

describe('toTextMapPropagator', () => {
  it('carries a context made by the API there and back', () => {
    const parent = trace.setSpanContext(API_ROOT.setValue(key, 'value'), {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: 1,
    });
    const context = propagation.setBaggage(parent, propagation.createBaggage({ a: { value: '1' } }));
    const carrier = inject(context);
    expect(carrier).toEqual({ traceparent: TRACEPARENT, baggage: 'a=1' });

    const extracted = propagator.extract(API_ROOT.setValue(key, 'value'), carrier, defaultTextMapGetter);
    expect(trace.getSpanContext(extracted)).toMatchObject({ spanId: 'b7ad6b7169203331', isRemote: true });
    expect(propagation.getBaggage(extracted)?.getEntry('a')?.value).toBe('1');
    expect(extracted.getValue(key)).toBe('value');
    expect(inject(extracted)).toEqual(carrier);
  });

  it('returns the very context when there is nothing to read', () => {
    const foreign = API_ROOT.setValue(key, 'value');
    expect(propagator.extract(foreign, {}, defaultTextMapGetter)).toBe(foreign);
    expect(propagator.extract(ROOT_CONTEXT, { traceparent: 'bad' }, defaultTextMapGetter)).toBe(ROOT_CONTEXT);
    expect(propagator.extract(foreign, undefined, defaultTextMapGetter)).toBe(foreign);
  });

  it('lists its fields, in an array of the caller', () => {
    propagator.fields().pop();
    expect(propagator.fields()).toEqual(['traceparent', 'tracestate', 'baggage']);
  });

  it('survives getters, setters and contexts that throw', () => {
    const fail = (): never => {
      throw new Error('on purpose');
    };
    const context = propagator.extract(API_ROOT, { traceparent: TRACEPARENT, baggage: 'a=1' }, defaultTextMapGetter);
    const hostile = { getValue: fail, setValue: fail, deleteValue: fail };
    expect(() => propagator.inject(context, {}, { set: fail })).not.toThrow();
    expect(() => propagator.inject(context, {}, undefined as never)).not.toThrow();
    expect(() => propagator.inject(hostile, {}, defaultTextMapSetter)).not.toThrow();
    expect(propagator.extract(context, {}, { get: fail, keys: fail })).toBe(context);
    expect(propagator.extract(hostile, {}, defaultTextMapGetter)).toBe(hostile);
    expect(propagator.extract(context, {}, undefined as never)).toBe(context);
  });
});
