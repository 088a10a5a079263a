import { describe, expect, it } from 'vitest';
import { childVariables } from '../../src/propagation/child-environment';

type Variables = Record<string, string | undefined>;

const NOTHING = { TRACEPARENT: undefined, TRACESTATE: undefined, BAGGAGE: undefined };
const STARTED = { TRACEPARENT: 'old', TRACESTATE: 'old=1', BAGGAGE: 'old=1' };

/** What changes in `own` for a context with these fields, in a process that was started with `started`. */
function changes(fields: Record<string, string>, own: Variables, started: Variables = NOTHING): object | undefined {
  const write = (set: (name: string, value: string) => void): void => {
    for (const [name, value] of Object.entries(fields)) set(name, value);
  };
  const result = childVariables(write, (name) => own[name], started);
  return result && Object.fromEntries(result);
}

describe('childVariables', () => {
  it('hands on all fields, by the names of variables', () => {
    const fields = { traceparent: 'p', tracestate: 's=1', baggage: 'b=1', 'x-b3-traceid': 't' };
    expect(changes(fields, { PATH: '/' })).toEqual({
      TRACEPARENT: 'p',
      TRACESTATE: 's=1',
      BAGGAGE: 'b=1',
      X_B3_TRACEID: 't',
    });
  });

  it('changes nothing without a context', () => {
    expect(changes({}, {})).toBeUndefined();
    expect(changes({}, STARTED, STARTED)).toBeUndefined();
  });

  it('replaces what was only passed on, and takes out what the context has not', () => {
    expect(changes({ traceparent: 'p' }, STARTED, STARTED)).toEqual({
      TRACEPARENT: 'p',
      TRACESTATE: undefined,
      BAGGAGE: undefined,
    });
    expect(changes({ traceparent: 'p' }, { TRACEPARENT: 'old' }, STARTED)).toEqual({ TRACEPARENT: 'p' });
  });

  it('leaves the variables of the application alone', () => {
    const fields = { traceparent: 'p', tracestate: 's=1', baggage: 'b=1' };
    expect(changes(fields, { TRACEPARENT: 'mine' })).toEqual({ BAGGAGE: 'b=1' });
    expect(changes(fields, { TRACEPARENT: 'mine', BAGGAGE: 'mine=1' })).toBeUndefined();
    expect(changes(fields, { BAGGAGE: 'mine=1' })).toEqual({ TRACEPARENT: 'p', TRACESTATE: 's=1' });
    expect(changes(fields, { ...STARTED, TRACEPARENT: 'mine' }, STARTED)).toEqual({ BAGGAGE: 'b=1' });
    // A trace of its own, said by the state alone, is not to be joined by a parent of ours.
    expect(changes(fields, { TRACESTATE: 'mine=1', BAGGAGE: 'mine=1' })).toBeUndefined();
    expect(changes(fields, { TRACEPARENT: '' })).toEqual({ BAGGAGE: 'b=1' });
  });

  it('hands on baggage without a trace, and leaves the trace that was passed on', () => {
    expect(changes({ baggage: 'b=1' }, STARTED, STARTED)).toEqual({ BAGGAGE: 'b=1' });
  });

  it('changes nothing where everything is as it should be', () => {
    const fields = { traceparent: 'old', tracestate: 'old=1', baggage: 'old=1' };
    expect(changes(fields, STARTED, STARTED)).toBeUndefined();
  });
});
