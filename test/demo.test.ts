import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runDemo } from './e2e/demo-support';
import { runApp } from './support/run-app';
import { expectTree } from './support/tree';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');
const readme = read('README.md');

describe('demo', () => {
  test('fails with one line when spans are missing, and leaves no service behind', async () => {
    // Hears where the services are.
    const asked: string[] = [];
    const witness = createServer((request, response) => {
      asked.push(String(request.url));
      response.end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => witness.once('listening', resolve));
    const { port } = witness.address() as AddressInfo;
    const change = `
      visits[0].spans = 4;
      services[3].env = ((env) => (urls) => {
        fetch('http://127.0.0.1:${port}/' + encodeURIComponent(JSON.stringify(urls)));
        return env(urls);
      })(services[3].env);`;
    const { code, stderr } = await runDemo({ change });
    witness.close();
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'demo: Browse the products: expected 4 spans in one trace, got 3 spans in 1 trace with 1 root\n',
    });
    const urls = JSON.parse(decodeURIComponent(asked[0]!.slice(1))) as Record<string, string>;
    for (const name of ['payment', 'orders', 'catalog']) {
      await expect(fetch(urls[name]!), name).rejects.toThrow('fetch failed');
    }
  });

  test('fails when a service does not start', async () => {
    const { code, stderr } = await runDemo({ change: `services[1].file = 'missing.js';` });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^demo: orders did not start: it ended with exit code 1$/m);
  });
});

describe('README', () => {
  test('shows the instrumentation of examples/own-instrumentation, which is under 20 lines', () => {
    const source = read('examples/own-instrumentation/dns.js');
    expect(readme).toContain(`\`\`\`js\n${source}\`\`\``);
    expect(source.trimEnd().split('\n').length).toBeLessThan(20);
  });

  test.each(['import', 'require', 'node-options'] as const)('its instrumentation runs under %s', async (preload) => {
    const { code, stderr, stdout, spans } = await runApp('examples/own-instrumentation/app.mjs', {
      preload,
      cwd: `${root}examples/own-instrumentation`,
      env: { HOOKLINE_INSTRUMENTATIONS: './dns.js' },
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectTree(spans, {
      name: 'lookup localhost',
      kind: 'CLIENT',
      scope: 'hookline/dns',
      exactAttributes: true,
      attributes: { 'dns.question.name': 'localhost', 'dns.answers': [stdout.trim()] },
    });
  });

  test('has every environment variable in its table, and no other', () => {
    const table = new Set(readme.split('## Configuration')[1]!.match(/\b(OTEL|HOOKLINE)_[A-Z0-9_]+[A-Z0-9]\b/g));
    const sources = ['src/config.ts', 'src/register.ts'].map(read).join('\n');
    // Quoted names: in comments stand patterns of names too.
    const quoted = new Set(sources.match(/(?<=')(OTEL|HOOKLINE)_[A-Z0-9_]*[A-Z0-9](?=')/g));
    for (const [, suffix] of sources.matchAll(/otlpVariable\(reader, '([A-Z_]+)'\)/g)) {
      quoted.add(`OTEL_EXPORTER_OTLP_${suffix}`);
      quoted.add(`OTEL_EXPORTER_OTLP_TRACES_${suffix}`);
    }
    for (const name of quoted) expect(table, name).toContain(name);
    // An example of OTEL_INSTRUMENTATION_<NAME>_ENABLED.
    quoted.add('OTEL_INSTRUMENTATION_HTTP2_ENABLED');
    for (const name of table) expect(quoted, name).toContain(name);
  });

  test('links to files that are there', () => {
    for (const [, path] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g))
      expect(existsSync(root + path), path).toBe(true);
  });
});
