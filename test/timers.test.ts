import { expect, it } from 'vitest';
import { runApp } from './support/run-app';

/** Fake timers, of which none is ever due; they take note of each that was not their own. */
const APP = `
const realSetTimeout = setTimeout;
const started = new Set();
const foreign = [];
globalThis.setTimeout = () => {
  const timer = { unref: () => timer, ref: () => timer };
  started.add(timer);
  return timer;
};
globalThis.clearTimeout = (timer) => {
  if (timer !== undefined && !started.has(timer)) foreign.push(new Error('cleared').stack);
};
Date.now = () => 1000;
const http = require('node:http');
const server = http.createServer((request, response) => response.end('hello'));
server.listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (response) => {
    response.resume().on('end', () => {
      server.close();
      performance.now = () => 1e12;
      const wait = () => {
        const { exported } = globalThis[Symbol.for('hookline')].status().export;
        if (exported < 2) return realSetTimeout(wait, 5);
        console.log(JSON.stringify({ started: started.size, foreign }));
      };
      wait();
    });
  });
});
`;

it('fake timers and clocks of the application are left to it', async () => {
  const beforeMs = Date.now();
  const { stdout, spans } = await runApp(undefined, {
    execArgv: ['-e', APP],
  });
  expect(JSON.parse(stdout)).toEqual({ started: 0, foreign: [] });
  expect(spans.map(({ kind }) => kind).sort()).toEqual(['CLIENT', 'SERVER']);
  for (const { startTimeUnixNano } of spans) expect(Number(startTimeUnixNano) / 1e6).toBeGreaterThan(beforeMs - 1000);
});
