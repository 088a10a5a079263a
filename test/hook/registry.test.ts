import { afterEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config';
import type { Instrumentation } from '../../src/hook/instrumentation';
import { locate } from '../../src/hook/locate';
import { type Definition, entryFiles, isEnabled, Registry, unknownNames } from '../../src/hook/registry';
import { setLogSink } from '../../src/log';

const configOf = (env: Record<string, string> = {}) => loadConfig(env).config;
const definition = (
  name: string,
  instrumentation: Partial<Instrumentation> = {},
  more: Partial<Definition> = {},
): Definition => ({
  name,
  modules: instrumentation.targets?.map(({ module }) => module) ?? [],
  load: () => ({ name, ...instrumentation }),
  ...more,
});
const registryOf = (...definitions: Definition[]) => {
  const registry = new Registry(configOf(), () => ({}) as never);
  registry.add(definitions);
  return registry;
};

afterEach(() => setLogSink(undefined));

describe('locate', () => {
  it.each([
    ['/app/node_modules/pg/lib/client.js', 'pg', 'lib/client.js', '/app/node_modules/pg'],
    [
      '/app/node_modules/@grpc/grpc-js/build/src/client.js',
      '@grpc/grpc-js',
      'build/src/client.js',
      '/app/node_modules/@grpc/grpc-js',
    ],
    ['/app/node_modules/a/node_modules/b/index.js', 'b', 'index.js', '/app/node_modules/a/node_modules/b'],
    [
      '/app/node_modules/.pnpm/pg@8.0.0/node_modules/pg/lib/index.js',
      'pg',
      'lib/index.js',
      '/app/node_modules/.pnpm/pg@8.0.0/node_modules/pg',
    ],
    [
      'C:\\app\\node_modules\\@grpc\\grpc-js\\build\\src\\client.js',
      '@grpc/grpc-js',
      'build/src/client.js',
      'C:\\app\\node_modules\\@grpc\\grpc-js',
    ],
    ['C:\\my app\\node_modules\\pg\\lib\\client.js', 'pg', 'lib/client.js', 'C:\\my app\\node_modules\\pg'],
  ])('%s', (filename, module, file, folder) => {
    expect(locate(filename)).toEqual({ module, file, folder });
  });

  it.each([
    '/app/src/index.js',
    '/app/node_modules',
    '/app/node_modules/x.js',
    '/app/node_modules/@scope/x.js',
    '/app/my_node_modules_x/y.js',
    '',
    'node_modules/x/y.js',
    '[eval]',
  ])('not in a package: %s', (filename) => {
    expect(locate(filename)).toBeUndefined();
  });
});

describe('entryFiles', () => {
  it.each([
    [{}, 'index.js'],
    [{ main: 'lib' }, 'lib/index.js'],
    [{ main: './lib/' }, 'lib//index.js'.replace('//', '/')],
    [{ main: './lib/main' }, 'lib/main.js'],
    [{ main: 'a.cjs' }, 'a.cjs'],
    [{ exports: './x.js' }, 'x.js'],
    [{ exports: { '.': { import: './x.mjs', require: ['./missing.cjs', './x.cjs'] }, './sub': './sub.js' } }, 'x.cjs'],
    [{ exports: { node: { default: './node.js' }, default: './x.js' } }, 'node.js'],
  ])('%j', (manifest, file) => {
    expect(entryFiles(manifest)).toContain(file);
  });

  it('leaves sub-paths out, and ends with any nesting', () => {
    expect(entryFiles({ exports: { '.': './x.js', './sub': './sub.js' } })).not.toContain('sub.js');
    const nested: Record<string, unknown> = {};
    nested['default'] = nested;
    expect(entryFiles({ exports: nested })).toContain('index.js');
    expect(entryFiles({ main: 7, exports: null })).toContain('index.js');
  });
});

describe('isEnabled', () => {
  const own = { name: 'http', aliases: ['https'] };
  it.each([
    [{}, true],
    [{ OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED: 'false' }, false],
    [{ OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'https', OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED: 'false' }, true],
    [{ OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'pg' }, false],
    [{ OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'http', OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'http' }, false],
    [{ OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'http', OTEL_INSTRUMENTATION_HTTPS_ENABLED: 'true' }, true],
  ])('%j: %s', (env, expected) => {
    expect(isEnabled(own, configOf(env as Record<string, string>).instrumentations)).toBe(expected);
  });

  it('names what nothing is called, once per place', () => {
    const config = configOf({
      OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'http,a',
      OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'b',
      OTEL_INSTRUMENTATION_C_ENABLED: 'true',
    });
    const problems = unknownNames([definition('http')], config.instrumentations);
    expect(problems.map((text) => text.split(':')[0])).toEqual([
      'OTEL_NODE_ENABLED_INSTRUMENTATIONS',
      'OTEL_NODE_DISABLED_INSTRUMENTATIONS',
      'OTEL_INSTRUMENTATION_C_ENABLED',
    ]);
  });
});

describe('what is off until its variable asks for it', () => {
  const optional = definition('optional', {}, { wanted: ({ childProcessContext }) => childProcessContext });
  const registryWith = (env: Record<string, string>): Registry => {
    const registry = new Registry(configOf(env), () => ({}) as never);
    registry.add([definition('pg'), { ...optional, modules: ['child_process'] }]);
    return registry;
  };

  it('is not there', () => {
    const registry = registryWith({});
    expect(registry.status().map(({ name }) => name)).toEqual(['pg']);
    expect(registry.has('child_process')).toBe(false);
  });

  it('is on then, and no toggle knows it', () => {
    const env = { HOOKLINE_CHILD_PROCESS_CONTEXT: 'true', OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'pg' };
    const registry = registryWith(env);
    expect(registry.status().map(({ name, enabled }) => [name, enabled])).toEqual([
      ['pg', true],
      ['optional', true],
    ]);
    expect(registry.has('child_process')).toBe(true);
    const { instrumentations } = configOf({ ...env, OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'optional' });
    expect(unknownNames(registry.all, instrumentations)).toEqual([
      'OTEL_NODE_DISABLED_INSTRUMENTATIONS: no instrumentation is called "optional"; known are pg',
    ]);
  });
});

describe('Registry', () => {
  const builtin = { module: 'thing', file: undefined, folder: undefined };

  it('patches each copy once, however often it is loaded', () => {
    let patches = 0;
    const registry = registryOf(definition('a', { targets: [{ module: 'thing', patch: () => void patches++ }] }));
    const first = {};
    registry.onLoad(builtin, first);
    expect(registry.onLoad(builtin, first)).toBe(first);
    registry.onLoad(builtin, {});
    expect(patches).toBe(2);
  });

  it('hands on what a patch returns, and does not patch that again', () => {
    const replacement = () => {};
    let patches = 0;
    const patch = () => {
      patches++;
      return replacement;
    };
    const registry = registryOf(definition('a', { targets: [{ module: 'thing', patch }] }));
    expect(registry.onLoad(builtin, {})).toBe(replacement);
    expect(registry.onLoad(builtin, replacement)).toBe(replacement);
    expect(patches).toBe(1);
  });

  it('gives the application its exports when a patch, or the reading of its file, throws', () => {
    const lines: string[] = [];
    setLogSink((line) => lines.push(line));
    const failing = () => {
      throw new Error('on purpose');
    };
    const registry = registryOf(
      definition('a', { targets: [{ module: 'thing', patch: failing }] }),
      definition('b', {}, { modules: ['thing'], load: failing }),
    );
    const exports = {};
    expect(registry.onLoad(builtin, exports)).toBe(exports);
    expect(registry.onLoad(builtin, exports)).toBe(exports);
    expect(lines).toEqual(['hookline: instrumentation b could not be loaded: Error: on purpose\n']);
    expect(registry.status()).toMatchObject([
      { name: 'a', failures: 1, off: false, patched: [] },
      { name: 'b', failures: 1, off: true, firstError: expect.stringContaining('on purpose') },
    ]);
  });

  it.each([undefined, null, 1, 'text', Symbol('s')])('leaves exports alone that cannot be patched: %s', (exports) => {
    const registry = registryOf(definition('a', { targets: [{ module: 'thing', patch: () => ({}) }] }));
    expect(registry.onLoad(builtin, exports)).toBe(exports);
  });
});
