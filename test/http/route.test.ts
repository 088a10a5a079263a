import { beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config';
import {
  beforeEnd,
  contextOf,
  joinTemplates,
  noteError,
  notePassed,
  serverSpanAbove,
  serverSpanOf,
  setRoute,
  settle,
} from '../../src/http/route';
import type { Resource } from '../../src/resource';
import { ROOT_CONTEXT } from '../../src/trace/context';
import { ALWAYS_ON } from '../../src/trace/sampler';
import type { Span } from '../../src/trace/span';
import { SpanIdentity } from '../../src/trace/span-identity';
import { TracerProvider } from '../../src/trace/tracer';

const tracer = new TracerProvider({
  resource: {} as Resource,
  sampler: ALWAYS_ON,
  limits: loadConfig({}).config.limits,
  processor: { onEnd: () => {} },
}).getTracer('test');

function serve(method = 'GET', carrier: object = {}): { request: object; span: Span } {
  const name = method === '_OTHER' ? 'HTTP' : method;
  const span = tracer.startSpan(name, { kind: 1, attributes: { 'http.request.method': method } }) as Span;
  contextOf.set(carrier, ROOT_CONTEXT.withIdentity(span.identity));
  return { request: carrier, span };
}

let request: object;
let span: Span;
beforeEach(() => {
  ({ request, span } = serve());
});

const seen = () => ({ name: span.name, route: span.attributes['http.route'] });

describe('the route of a request', () => {
  it('is on the span as soon as it is known', () => {
    setRoute(request, '/users/:id');
    expect(seen()).toEqual({ name: 'GET /users/:id', route: '/users/:id' });
  });

  it('is the last one that was found, and none when none answers', () => {
    setRoute(request, '/users/:id');
    setRoute(request, '/users/me');
    expect(seen()).toEqual({ name: 'GET /users/me', route: '/users/me' });
    setRoute(request, undefined);
    expect(seen()).toEqual({ name: 'GET', route: undefined });
    expect(Object.keys(span.attributes)).toEqual(['http.request.method']);
  });

  it('follows HTTP in the name for a method that the conventions do not know', () => {
    const { request, span } = serve('_OTHER');
    setRoute(request, '/dav');
    expect(span.name).toBe('HTTP /dav');
  });

  it('leaves a name that the application gave', () => {
    span.updateName('checkout');
    setRoute(request, '/users/:id');
    expect(seen()).toEqual({ name: 'checkout', route: '/users/:id' });
    span.updateName('again');
    setRoute(request, undefined);
    expect(seen()).toEqual({ name: 'again', route: undefined });
  });

  it('is found through the stream of a request of HTTP/2', () => {
    const { request: stream, span } = serve();
    setRoute({ stream }, '/users/:id');
    expect(span.name).toBe('GET /users/:id');
  });

  it('is found through what the code works for, where there is no request of Node', () => {
    const below = tracer.startSpan('below', {}, ROOT_CONTEXT.withIdentity(span.identity)) as Span;
    const found = serverSpanAbove(ROOT_CONTEXT.withIdentity(below.identity));
    expect(found).toBe(span);
    setRoute(found!, '/users/:id');
    expect(seen()).toEqual({ name: 'GET /users/:id', route: '/users/:id' });
    span.end();
    setRoute(found!, '/other');
    expect(seen()).toEqual({ name: 'GET /users/:id', route: '/users/:id' });
    expect(serverSpanAbove(ROOT_CONTEXT.withIdentity(below.identity))).toBeUndefined();
    expect(serverSpanAbove(ROOT_CONTEXT)).toBeUndefined();
  });

  it('is nothing for requests without a span, and after its end', () => {
    setRoute({}, '/users/:id');
    setRoute({ stream: null }, '/users/:id');
    const unsampled = {};
    contextOf.set(unsampled, ROOT_CONTEXT.withIdentity(SpanIdentity.root(false, undefined)));
    expect(serverSpanOf(unsampled)).toBeUndefined();
    setRoute(unsampled, '/users/:id');
    span.end();
    setRoute(request, '/users/:id');
    expect(seen()).toEqual({ name: 'GET', route: undefined });
  });
});

describe('a route whose handlers pass the request on', () => {
  it('is no route of a 404', () => {
    notePassed(request);
    setRoute(request, '*');
    notePassed(request);
    settle(span, 404);
    expect(seen()).toEqual({ name: 'GET', route: undefined });
  });

  it('is the route of any other response', () => {
    setRoute(request, '/users/:id');
    notePassed(request);
    settle(span, 200);
    expect(seen()).toEqual({ name: 'GET /users/:id', route: '/users/:id' });
  });

  it('gives way to the next one, which may answer 404', () => {
    setRoute(request, '*');
    notePassed(request);
    setRoute(request, '/users/:id');
    settle(span, 404);
    expect(seen()).toEqual({ name: 'GET /users/:id', route: '/users/:id' });
  });
});

it('what is still open is closed before the end, once', () => {
  const closed: string[] = [];
  beforeEnd({}, () => closed.push('of no request'));
  beforeEnd(request, () => closed.push('first'));
  beforeEnd(request, () => closed.push('second'));
  settle(span, undefined);
  settle(span, undefined);
  expect(closed).toEqual(['first', 'second']);
});

describe('an error that a framework answers', () => {
  it('is recorded when the response is a failure', () => {
    noteError(request, new TypeError('first'));
    noteError(request, new TypeError('on purpose'));
    expect(span.events).toEqual([]);
    settle(span, 500);
    expect(span.status).toEqual({ code: 2, message: 'on purpose' });
    expect(span.events).toHaveLength(1);
    expect(span.events[0]).toMatchObject({
      name: 'exception',
      attributes: { 'exception.type': 'TypeError', 'exception.message': 'on purpose' },
    });
  });

  it('is none of the server when the response is none', () => {
    noteError(request, new Error('not found'));
    settle(span, 404);
    expect(span.events).toEqual([]);
    expect(span.status).toEqual({ code: 0 });
  });

  it('can be anything that was thrown', () => {
    for (const thrown of ['text', 0, Symbol('odd'), { message: 7 }, Object.create(null)]) {
      const { request, span } = serve();
      noteError(request, thrown);
      settle(span, 500);
      expect(span.events).toHaveLength(1);
      expect(span.status).toEqual(thrown === 'text' ? { code: 2, message: 'text' } : { code: 0 });
    }
  });

  it('is not there when there was none', () => {
    noteError(request, undefined);
    noteError(request, null);
    settle(span, 500);
    settle(span, 500);
    expect(span.events).toEqual([]);
    noteError({}, new Error('of no request'));
  });
});

it('templates are joined as paths are', () => {
  expect(joinTemplates('', '/a')).toBe('/a');
  expect(joinTemplates('/', '/a')).toBe('/a');
  expect(joinTemplates('/api', '/')).toBe('/api');
  expect(joinTemplates('/api/', '/a')).toBe('/api/a');
  expect(joinTemplates('/api', 'a')).toBe('/api/a');
  expect(joinTemplates('', '')).toBe('');
});
