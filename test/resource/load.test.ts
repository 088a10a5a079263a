import { join } from 'node:path';
import type { Attributes } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setLogLevel, setLogSink } from '../../src/log';
import { detect, known } from '../../src/resource/load';
import { activeContext } from '../../src/trace/context';
import { writeFolder } from '../support/packages';

const lines: string[] = [];
const environment = { ...process.env };

beforeEach(() => {
  lines.length = 0;
  setLogSink((line) => lines.push(line));
});
afterEach(() => {
  setLogSink(undefined);
  setLogLevel('warn');
  process.env = { ...environment };
});

/** Runs detectors to the end and gives what they found, by name. */
async function run(names: string[], timeoutMs = 20_000): Promise<Record<string, Attributes>> {
  const found: Record<string, Attributes> = {};
  await detect(names, timeoutMs, (name, attributes) => {
    found[name] = attributes;
  });
  return found;
}

it('runs each by its name, side by side, and one that fails costs only itself one line', async () => {
  const folder = writeFolder({
    'good.cjs': `module.exports = { detect: () => ({ attributes: { team: 'till' } }) };`,
    'bad.cjs': `module.exports = { detect() { throw new Error('broken on purpose'); } };`,
  });
  process.env['AWS_LAMBDA_FUNCTION_NAME'] = 'checkout';
  const [good, bad] = [join(folder, 'good.cjs'), join(folder, 'bad.cjs')];
  expect(await run([good, bad, 'aws'])).toEqual({
    [good]: { team: 'till' },
    aws: { 'cloud.provider': 'aws', 'cloud.platform': 'aws_lambda', 'faas.name': 'checkout' },
  });
  expect(lines).toEqual([`hookline: OTEL_NODE_RESOURCE_DETECTORS: "${bad}" cannot be used: broken on purpose\n`]);
});

it('says nothing of a platform that is not there, but for debugging', async () => {
  process.env['AWS_EC2_METADATA_DISABLED'] = 'true';
  process.env['METADATA_SERVER_DETECTION'] = 'none';
  expect(await run(['aws', 'gcp'])).toEqual({});
  expect(lines).toEqual([]);
  setLogLevel('debug');
  await run(['aws']);
  expect(lines).toEqual(['hookline: resource detector aws: not there (AWS_EC2_METADATA_DISABLED is true)\n']);
});

it('runs foreign code untraced', async () => {
  const folder = writeFolder({
    'detector.cjs': `module.exports = { async detect() {
      const first = globalThis.isSuppressed();
      await null;
      return { attributes: { first, second: globalThis.isSuppressed() } };
    } };`,
  });
  Object.assign(globalThis, { isSuppressed: () => activeContext().suppressed });
  const path = join(folder, 'detector.cjs');
  expect(await run([path])).toEqual({ [path]: { first: true, second: true } });
  Reflect.deleteProperty(globalThis, 'isSuppressed');
});

describe('one that hangs', () => {
  it('is left behind in time with one line, and what it gives later is not taken', async () => {
    const folder = writeFolder({
      'slow.cjs': `module.exports = { detect: () => new Promise((resolve) => { globalThis.answerSlowly = resolve; }) };`,
      'good.cjs': `module.exports = { detect: () => ({ attributes: { team: 'till' } }) };`,
    });
    const [slow, good] = [join(folder, 'slow.cjs'), join(folder, 'good.cjs')];
    const found = await run([slow, good], 100);
    expect(found).toEqual({ [good]: { team: 'till' } });
    expect(lines).toEqual([
      `hookline: resource detector ${slow} gave no answer within 100 ms; spans are sent without its attributes\n`,
    ]);
    const { answerSlowly } = globalThis as unknown as { answerSlowly(resource: object): void };
    answerSlowly({ attributes: { late: true } });
    await new Promise((resolve) => setImmediate(resolve));
    expect(found).toEqual({ [good]: { team: 'till' } });
  });
});

it('knows without asking what variables tell', () => {
  process.env['AWS_LAMBDA_FUNCTION_NAME'] = 'checkout';
  expect(known('aws')).toMatchObject({ 'faas.name': 'checkout' });
  expect(known('./some/module.js')).toEqual({});
  expect(known('toString')).toEqual({});
});
