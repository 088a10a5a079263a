// The files of micro/ as benchmarks.
import { runMicro } from './lib/micro.mjs';

/** By file; the question and its cases are in the file. `also` has a row for cases beside `hookline`. */
const FILES = {
  span: {
    title: 'span with 8 attributes, start to encoded',
    target: { ratio: 0.15 },
    also: { 'hookline-api': 'by the OpenTelemetry API' },
  },
  ids: { title: 'ids of a new trace and span' },
  context: { title: 'switch of context' },
  'traceparent-parse': { title: 'traceparent, read' },
  'traceparent-build': { title: 'traceparent, written' },
  encode: { title: 'span with 8 attributes, encoded' },
  queue: { title: 'span with 8 attributes, from its end until it is handed over' },
  sql: {
    title: 'statement of 190 characters, summary and text',
    also: { 'hookline-summary': 'summary alone', 'hookline-cached': 'seen before' },
  },
};

/** @type {import('./index.mjs').Benchmark[]} */
export const MICRO = Object.entries(FILES).map(([name, { title, target, also = {} }]) => ({
  name,
  group: 'micro',
  async run(bench) {
    const row = { name, title, unit: 'ns', compare: 'absolute', rounds: await runMicro(name, bench), target };
    const others = Object.entries(also).map(([subject, how]) => ({
      ...row,
      name: subject.replace('hookline', name),
      title: `${title}, ${how}`,
      subject,
      target: undefined,
    }));
    return [row, ...others];
  },
}));
