import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { definitions } from '../../instrumentations/index';
import type { Instrumentation } from '../../src/hook/instrumentation';

const folder = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'instrumentations');
const files = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && file !== 'index.ts')
  .map((file) => file.slice(0, -3));

/** The file of a line, by the name they share. */
async function instrumentationIn(file: string): Promise<Instrumentation> {
  const { default: instrumentation } = (await import(pathToFileURL(join(folder, `${file}.ts`)).href)) as {
    default: Instrumentation;
  };
  return instrumentation;
}

/** The channels that an instrumentation listens on. */
function channelsOf(instrumentation: Instrumentation): string[] {
  const channels: string[] = [];
  const anything = new Proxy(() => {}, { get: () => anything, apply: () => anything }) as never;
  const tracing = new Proxy(
    { on: (channel: string) => void channels.push(channel) },
    {
      get: (own: Record<string, unknown>, key: string) => own[key] ?? anything,
    },
  );
  instrumentation.subscribe?.(tracing as never);
  return channels;
}

describe('the table of instrumentations', () => {
  test('has one line per file', () => {
    expect(definitions.map(({ name }) => name).sort()).toEqual(files.sort());
  });

  test('names everything once', () => {
    const names = definitions.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
    expect(names).toEqual([...new Set(names)]);
  });

  test.each(definitions.map((definition) => [definition.name, definition] as const))(
    '%s: line and file agree',
    async (name, definition) => {
      const instrumentation = await instrumentationIn(name);
      expect(instrumentation.name).toBe(name);
      const modules = new Set((instrumentation.targets ?? []).map(({ module }) => module));
      expect([...(definition.modules ?? [])].sort()).toEqual([...modules].sort());
      // A channel that loads a file without a listener on it would lose its first message.
      const channels = channelsOf(instrumentation);
      for (const channel of definition.channels ?? []) expect(channels).toContain(channel);
      if (modules.size === 0) expect(definition.channels?.length).toBeGreaterThan(0);
      for (const { module } of instrumentation.targets ?? []) expect(module).not.toMatch(/^node:/);
    },
  );

  test.each(definitions.map((definition) => [definition.name, definition] as const))(
    '%s: the line loads the file of its name',
    (name, definition) => {
      const source = String(definition.load);
      expect(source).toContain(`./instrumentations/${name}.js`);
    },
  );
});
