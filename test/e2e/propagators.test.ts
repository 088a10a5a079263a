import { expect, test } from 'vitest';
import { writeFolder } from '../support/packages';
import { runApp } from '../support/run-app';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

/** Asks itself twice: first as a foreign caller would, then from within that request. Prints the headers that arrive. */
const APP = `
const http = require('node:http');
const wanted = /^(b3|x-|uber|ot-|traceparent|baggage|my-trace)/;
const seen = [];
const server = http.createServer((request, response) => {
  seen.push(Object.fromEntries(Object.entries(request.headers).filter(([name]) => wanted.test(name))));
  if (request.url === '/inner') return response.end();
  http.get({ port: server.address().port, path: '/inner' }, (inner) => inner.resume().on('end', () => response.end()));
});
server.listen(0, () => {
  const headers = JSON.parse(process.env.CALLER);
  http.get({ port: server.address().port, path: '/', headers }, (response) => {
    response.resume().on('end', () => {
      console.log(JSON.stringify(seen[1]));
      server.close();
    });
  });
});
`;

async function forwarded(propagators: string, caller: Record<string, string>, files: Record<string, string> = {}) {
  const folder = writeFolder({ 'app.cjs': APP, ...files });
  const { stdout, stderr, spans } = await runApp(`${folder}/app.cjs`, {
    cwd: folder,
    // The first call is the foreign caller's: it carries what it was given.
    env: {
      OTEL_PROPAGATORS: propagators,
      CALLER: JSON.stringify(caller),
      OTEL_SERVICE_NAME: 'app',
    },
  });
  return { headers: JSON.parse(stdout) as Record<string, string>, stderr, spans };
}

test('a trace in an older format is taken up and carried on in it', async () => {
  const { headers, stderr, spans } = await forwarded('b3,xray', { b3: `${TRACE}-${SPAN}-1` });
  expect(stderr).toBe('');
  const client = spans.find(({ kind, parentSpanId }) => kind === 'CLIENT' && parentSpanId !== undefined);
  expect(client?.traceId).toBe(TRACE);
  expect(headers).toEqual({
    b3: `${TRACE}-${client?.spanId}-1`,
    'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${client?.spanId};Sampled=1`,
  });
});

test("an operator's own propagator is used by its path", async () => {
  const { headers, stderr } = await forwarded(
    './own.cjs,tracecontext',
    {},
    {
      'own.cjs': `
exports.default = class Own {
  inject(context, carrier, setter) { setter.set(carrier, 'My-Trace', 'on'); }
  extract(context) { return context; }
  fields() { return ['My-Trace']; }
};`,
    },
  );
  expect(stderr).toBe('');
  expect(headers).toEqual({
    'my-trace': 'on',
    traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/),
  });
});

test('one that cannot be loaded is one line, and the others carry on', async () => {
  const { headers, stderr } = await forwarded('./missing.cjs,b3', {});
  expect(stderr).toMatch(/^hookline: OTEL_PROPAGATORS: "\.\/missing\.cjs" cannot be used: Cannot find module [^\n]*\n/);
  expect(headers).toEqual({ b3: expect.stringMatching(/^[0-9a-f]{32}-[0-9a-f]{16}-1$/) });
});
