import { ROOT_CONTEXT as API_ROOT, baggageEntryMetadataFromString, propagation } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { BAGGAGE_KEY, Baggage, baggagePropagator, parseBaggage, serializeBaggage } from '../../src/propagation/baggage';
import { ROOT_CONTEXT } from '../../src/trace/context';

const entries = (header: string | string[] | undefined): Record<string, string> =>
  Object.fromEntries((parseBaggage(header)?.getAllEntries() ?? []).map(([key, { value }]) => [key, value]));

/** What is sent when the entries, and not the header's text, are written. */
const rewritten = (header: string): string =>
  serializeBaggage(new Baggage(new Map(parseBaggage(header)?.getAllEntries())));

describe('reading', () => {
  it.each<[string, string | string[] | undefined, Record<string, string>]>([
    ['nothing', undefined, {}],
    ['empty', '', {}],
    ['one', 'a=1', { a: '1' }],
    ['spaces around', ' a = 1 ,\tb=2 ; p ', { a: '1', b: '2' }],
    ['percent-encoded', 'k%2Ck=a%20b%2C%C3%A9%3D', { 'k,k': 'a b,é=' }],
    ['an equals sign in the value', 'a=b=c', { a: 'b=c' }],
    ['an empty value', 'a=', { a: '' }],
    ['several headers', ['a=1', '', 'b=2'], { a: '1', b: '2' }],
    ['one name twice: the last', 'a=1,a=2', { a: '2' }],
    ['malformed members', 'a,=b,,c=%ZZ,d=%E9,e f=1,(=1,ok=1,é=1,x=é,y=\u0001', { ok: '1' }],
    ['line ends', 'a=1\r\nx-admin: 1,b=2', { b: '2' }],
  ])('%s', (_name, header, expected) => {
    expect(entries(header)).toEqual(expected);
  });

  it('keeps metadata', () => {
    const baggage = parseBaggage('a=1; p=q ;r,b=2;')!;
    expect(String(baggage.getEntry('a')?.metadata)).toBe('p=q ;r');
    expect(baggage.getEntry('b')).toEqual({ value: '2' });
  });

  it('has no entry from a prototype', () => {
    const baggage = parseBaggage('__proto__=x,constructor=y')!;
    expect(baggage.getAllEntries().map(([key]) => key)).toEqual(['__proto__', 'constructor']);
    expect(baggage.getEntry('toString')).toBeUndefined();
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  it('takes 64 members and 8192 characters', () => {
    const many = Array.from({ length: 100 }, (_, i) => `k${i}=v`).join(',');
    expect(Object.keys(entries(many))).toHaveLength(64);
    expect(Object.keys(entries(many))[63]).toBe('k63');
    const fits = `a=${'x'.repeat(8190)}`;
    expect(entries(fits).a).toHaveLength(8190);
    expect(entries(`${fits}x`)).toEqual({});
    expect(Object.keys(entries(`first=1,a=${'x'.repeat(9000)},later=1`))).toEqual(['first']);
    expect(Object.keys(entries(['first=1', `a=${'x'.repeat(9000)}`, 'later=1']))).toEqual(['first']);
  });

  it('costs bounded time', () => {
    const started = performance.now();
    for (const text of ['a=1,'.repeat(500_000), ',;='.repeat(500_000), '%'.repeat(2_000_000), ' '.repeat(2_000_000)])
      parseBaggage(text);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('writing', () => {
  it('sends what came as it came', () => {
    const header = 'a=%31 ; p=q,b = "2"';
    expect(serializeBaggage(parseBaggage(header)!)).toBe(header);
  });

  it('sends no tab, which is a space to every reader', () => {
    expect(serializeBaggage(parseBaggage('a=1\t;\tp=q\t,\tb=2')!)).toBe('a=1 ; p=q , b=2');
    const own = new Baggage(new Map([['a', { value: '1\t2', metadata: baggageEntryMetadataFromString('p\tq') }]]));
    expect(serializeBaggage(own)).toBe('a=1%092');
  });

  it('writes the entries when they were changed or not all understood', () => {
    expect(serializeBaggage(parseBaggage('a=1')!.setEntry('b', { value: 'x y,é' }))).toBe('a=1,b=x%20y%2C%C3%A9');
    expect(serializeBaggage(parseBaggage('a=1,bad,b=2;m')!)).toBe('a=1,b=2;m');
    expect(serializeBaggage(parseBaggage('a=1,a=2')!)).toBe('a=2');
    expect(serializeBaggage(parseBaggage('a=1,b=2')!.removeEntry('a'))).toBe('b=2');
    expect(rewritten('k%2C%28=v%29')).toBe('k%2C%28=v%29');
  });

  it('is bounded too', () => {
    let baggage = new Baggage(new Map());
    for (let i = 0; i < 100; i++) baggage = baggage.setEntry(`k${i}`, { value: 'v' });
    expect(serializeBaggage(baggage).split(',')).toHaveLength(64);
    const long = new Baggage(
      new Map([
        ['a', { value: 'x'.repeat(9000) }],
        ['b', { value: '2' }],
      ]),
    );
    expect(serializeBaggage(long)).toBe('b=2');
  });

  it('leaves out what no header can hold', () => {
    const baggage = new Baggage(
      new Map<string, never>([
        ['', { value: '1' } as never],
        ['lone', { value: '\ud800' } as never],
        ['number', { value: 7 } as never],
        ['nothing', undefined as never],
        ['lines', { value: 'a\r\nb', metadata: baggageEntryMetadataFromString('p\r\nx-admin: 1') } as never],
        ['comma', { value: 'c', metadata: baggageEntryMetadataFromString('p,q=1') } as never],
      ]),
    );
    expect(serializeBaggage(baggage)).toBe('lines=a%0D%0Ab,comma=c');
  });
});

describe('Baggage', () => {
  it('is immutable', () => {
    const baggage = parseBaggage('a=1,b=2')!;
    baggage.getEntry('a')!.value = 'changed';
    baggage.getAllEntries()[0]![1].value = 'changed';
    const entry = { value: '3' };
    const more = baggage.setEntry('c', entry);
    entry.value = 'changed';
    expect(more.getEntry('c')).toEqual({ value: '3' });
    expect(baggage.getEntry('a')).toEqual({ value: '1' });
    expect(baggage.removeEntries('a', 'b', 'x').getAllEntries()).toEqual([]);
    expect(baggage.clear().getAllEntries()).toEqual([]);
    expect(baggage.getAllEntries()).toHaveLength(2);
  });
});

describe("with the API's own functions", () => {
  it('is found under the same key', () => {
    const context = baggagePropagator.extract(ROOT_CONTEXT, () => 'a=1');
    expect(propagation.getBaggage(context)?.getEntry('a')?.value).toBe('1');
    const own = propagation.createBaggage({ b: { value: '2', metadata: baggageEntryMetadataFromString('m=n') } });
    expect(propagation.setBaggage(API_ROOT, own).getValue(BAGGAGE_KEY)).toBe(own);
    const headers: Record<string, string> = {};
    baggagePropagator.inject(ROOT_CONTEXT.setValue(BAGGAGE_KEY, own), (name, value) => {
      headers[name] = value;
    });
    expect(headers).toEqual({ baggage: 'b=2;m=n' });
  });

  it('returns the context itself when there is nothing, and sets nothing', () => {
    expect(baggagePropagator.extract(ROOT_CONTEXT, () => 'bad')).toBe(ROOT_CONTEXT);
    const sent: string[] = [];
    baggagePropagator.inject(ROOT_CONTEXT, (name) => void sent.push(name));
    baggagePropagator.inject(
      ROOT_CONTEXT.setValue(BAGGAGE_KEY, new Baggage(new Map())),
      (name) => void sent.push(name),
    );
    expect(sent).toEqual([]);
  });

  it('survives objects of another make and carriers that throw', () => {
    for (const odd of [7, 'text', {}, { getAllEntries: () => 7 }, { getAllEntries: () => [null] }]) {
      expect(() => baggagePropagator.inject(ROOT_CONTEXT.setValue(BAGGAGE_KEY, odd), () => {})).not.toThrow();
    }
    const fail = (): never => {
      throw new Error('on purpose');
    };
    expect(baggagePropagator.extract(ROOT_CONTEXT, fail)).toBe(ROOT_CONTEXT);
    expect(() =>
      baggagePropagator.inject(
        baggagePropagator.extract(ROOT_CONTEXT, () => 'a=1'),
        fail,
      ),
    ).not.toThrow();
  });
});
