import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config';
import { commandArgs, containerId, createResource } from '../src/resource';

/** Types of the semantic conventions' registry, release 1.44.0. */
const REGISTRY: Record<string, 'string' | 'int' | 'string[]' | readonly string[]> = {
  'container.id': 'string',
  'host.arch': ['amd64', 'arm32', 'arm64', 'ia64', 'ppc32', 'ppc64', 's390x', 'x86'],
  'host.name': 'string',
  'os.type': [
    'aix',
    'darwin',
    'dragonflybsd',
    'freebsd',
    'hpux',
    'linux',
    'netbsd',
    'openbsd',
    'solaris',
    'windows',
    'zos',
  ],
  'os.version': 'string',
  'process.command': 'string',
  'process.command_args': 'string[]',
  'process.executable.name': 'string',
  'process.executable.path': 'string',
  'process.owner': 'string',
  'process.pid': 'int',
  'process.runtime.description': 'string',
  'process.runtime.name': 'string',
  'process.runtime.version': 'string',
  'service.instance.id': 'string',
  'service.name': 'string',
  'telemetry.sdk.language': ['nodejs'],
  'telemetry.sdk.name': 'string',
  'telemetry.sdk.version': 'string',
};

const UNSET = {
  serviceName: undefined,
  resourceAttributes: {},
  resourceDetectors: loadConfig({}).config.resourceDetectors,
};

describe('resource', () => {
  it('has keys, types and values of the registry only', () => {
    const { attributes } = createResource(UNSET);
    for (const [key, value] of Object.entries(attributes)) {
      const type = REGISTRY[key];
      expect(type, key).toBeDefined();
      if (Array.isArray(type)) expect(type).toContain(value);
      else if (type === 'int') expect(Number.isInteger(value)).toBe(true);
      else if (type === 'string[]') expect((value as unknown[]).every((item) => typeof item === 'string')).toBe(true);
      else expect(typeof value === 'string' && value !== '', key).toBe(true);
    }
    const required = Object.keys(REGISTRY).filter((key) => key !== 'container.id' && key !== 'process.owner');
    expect(Object.keys(attributes)).toEqual(expect.arrayContaining(required));
    expect(attributes).toMatchObject({
      'process.pid': process.pid,
      'process.runtime.name': 'nodejs',
      'process.runtime.version': process.versions.node,
      'telemetry.sdk.name': 'hookline',
      'telemetry.sdk.language': 'nodejs',
    });
    expect(attributes['telemetry.sdk.version']).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('detects once, and on the first read only', () => {
    let reads = 0;
    const resource = createResource({
      ...UNSET,
      get serviceName(): string {
        reads++;
        return 'late';
      },
      resourceAttributes: {},
    });
    expect(reads).toBe(0);
    const first = resource.attributes;
    const after = reads;
    expect(after).toBeGreaterThan(0);
    expect(resource.attributes).toBe(first);
    expect(reads).toBe(after);
  });

  it('names an instance by a random UUID of version 4', () => {
    const ids = Array.from({ length: 50 }, () => createResource(UNSET).attributes['service.instance.id'] as string);
    expect(new Set(ids).size).toBe(50);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('prefers OTEL_SERVICE_NAME to OTEL_RESOURCE_ATTRIBUTES to what it detects, and keeps telemetry.sdk to itself', () => {
    const resourceAttributes = {
      'service.name': 'from-attributes',
      'service.instance.id': 'mine',
      'host.name': 'box',
      'deployment.environment.name': 'test',
      'telemetry.sdk.name': 'other',
    };
    expect(createResource({ ...UNSET, resourceAttributes }).attributes).toMatchObject({
      'service.name': 'from-attributes',
      'service.instance.id': 'mine',
      'host.name': 'box',
      'deployment.environment.name': 'test',
      'telemetry.sdk.name': 'hookline',
    });
    expect(createResource({ ...UNSET, serviceName: 'from-name', resourceAttributes }).attributes['service.name']).toBe(
      'from-name',
    );
  });

  it('has the methods of an SDK resource', async () => {
    const resource = createResource({ ...UNSET, serviceName: 'a' });
    expect(resource.asyncAttributesPending).toBe(false);
    await resource.waitForAsyncAttributes();
    expect(Object.fromEntries(resource.getRawAttributes())).toEqual(resource.attributes);
    expect(resource.merge(null)).toBe(resource);
    const merged = resource.merge(createResource({ ...UNSET, serviceName: 'b', resourceAttributes: { extra: 'x' } }));
    expect(merged.attributes).toMatchObject({ 'service.name': 'b', extra: 'x' });
    expect(resource.attributes['service.name']).toBe('a');
  });
});

describe('service name', () => {
  const script = process.argv[1];
  let root = '';
  const write = (path: string, text: string): string => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  const nameFor = (main: string | undefined): unknown => {
    if (main === undefined) process.argv.splice(1);
    else process.argv[1] = main;
    return createResource(UNSET).attributes['service.name'];
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'hookline-resource-'));
  });
  afterEach(() => {
    process.argv[1] = script as string;
    rmSync(root, { recursive: true });
  });

  it('is the name of the nearest package.json above the script', () => {
    write('package.json', '{"name":"outer"}');
    write('packages/inner/package.json', '{"name":"@scope/inner"}');
    expect(nameFor(join(root, 'packages/inner/src/deep/main.js'))).toBe('@scope/inner');
    expect(nameFor(join(root, 'packages/main.js'))).toBe('outer');
  });

  it('is found for a directory given as the script', () => {
    write('package.json', '{"name":"outer"}');
    expect(nameFor(root)).toBe('outer');
  });

  it('passes by files that are broken or have no name', () => {
    write('package.json', '{"name":"outer"}');
    write('a/package.json', '{"type":"module"}');
    write('a/b/package.json', '{"name": ');
    write('a/b/c/package.json', 'null');
    write('a/b/c/d/package.json', '{"name": 7}');
    write('a/b/c/d/e/package.json', '{"name": "  "}');
    expect(nameFor(join(root, 'a/b/c/d/e/main.js'))).toBe('outer');
  });

  it('is that of the application when the script is a tool in node_modules', () => {
    write('package.json', '{"name":"application"}');
    write('node_modules/tool/package.json', '{"name":"tool"}');
    expect(nameFor(join(root, 'node_modules/tool/bin/tool.js'))).toBe('application');
  });

  it('is unknown_service:node without a script or a package', () => {
    expect(nameFor(undefined)).toBe('unknown_service:node');
    expect(nameFor(join('/', 'nowhere-at-all', 'main.js'))).toBe('unknown_service:node');
    expect(nameFor(join(root, 'x/'.repeat(200), 'main.js'))).toBe('unknown_service:node');
  });
});

describe('command arguments', () => {
  it('keep names of options and nothing that could be a secret', () => {
    const argv = [
      '/usr/bin/node',
      '/app/main.js',
      '--verbose',
      '--api-key=s3cret',
      '--url',
      'postgres://u:s3cret@db/x',
      '-p',
      '-ps3cret',
      's3cret',
      '--',
      '-',
      '--url:s3cret',
      '--=s3cret',
      '--p@ss=s3cret',
    ];
    const args = commandArgs(argv);
    expect(args.join(' ')).not.toContain('s3cret');
    expect(args).toEqual([
      '/usr/bin/node',
      '/app/main.js',
      '--verbose',
      '--api-key=REDACTED',
      '--url',
      'REDACTED',
      '-p',
      '-pREDACTED',
      'REDACTED',
      '--',
      '-',
      '--url=REDACTED',
      '--=REDACTED',
      '--p=REDACTED',
    ]);
  });

  it('are bounded', () => {
    expect(commandArgs(new Array(1000).fill('x'))).toHaveLength(64);
  });
});

describe('container id', () => {
  const id = 'ab12'.repeat(16);
  const other = 'cd34'.repeat(16);
  const nothing = (): string => '';

  it.each([
    ['docker, cgroup v1', `12:cpu:/docker/${id}\n11:memory:/docker/${id}\n`],
    ['kubernetes', `1:name=systemd:/kubepods/besteffort/pod1-2/${id}`],
    ['systemd', `0::/system.slice/docker-${id}.scope`],
    ['CRI-O', `0::/kubepods.slice/crio-${id}.scope`],
  ])('is read from %s', (_name, cgroup) => {
    expect(containerId(cgroup, nothing)).toBe(id);
  });

  it('is read from the hostname mount under cgroup v2', () => {
    const mounts =
      `600 590 0:40 / / rw - overlay overlay rw,upperdir=/var/lib/docker/overlay2/${other}/diff\n` +
      `612 600 254:1 /docker/containers/${id}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n`;
    expect(containerId('0::/\n', () => mounts)).toBe(id);
  });

  it('is not taken from the mounts of a host that runs containers', () => {
    const mounts = `700 30 0:60 / /var/lib/docker/containers/${other}/mounts/shm rw - tmpfs shm rw\n`;
    expect(containerId('0::/init.scope\n', () => mounts)).toBeUndefined();
    expect(containerId('', nothing)).toBeUndefined();
  });
});

describe('detectors', () => {
  const keys = (...resourceDetectors: string[]) =>
    Object.keys(createResource({ ...UNSET, resourceDetectors: resourceDetectors as never }).attributes).filter(
      (key) => !key.startsWith('telemetry.'),
    );

  it('give what is asked for and no more', () => {
    expect(keys()).toEqual(['service.name']);
    expect(keys('host')).toEqual(['service.name', 'host.arch', 'host.name']);
    expect(keys('os')).toEqual(['service.name', 'os.type', 'os.version']);
    expect(keys('serviceinstance')).toEqual(['service.name', 'service.instance.id']);
    expect(keys('process')).toContain('process.pid');
    expect(keys('process').every((key) => key.startsWith('process.') || key === 'service.name')).toBe(true);
    // This process may run in a container or pod, or not.
    expect(keys('container').every((key) => key === 'service.name' || key === 'container.id')).toBe(true);
    expect(keys('kubernetes').every((key) => key === 'service.name' || key.startsWith('k8s.'))).toBe(true);
  });
});
