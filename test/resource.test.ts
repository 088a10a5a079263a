import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config';
import {
  commandArgs,
  containerId,
  createResource as create,
  type ProcessResource,
  type SlowDetectors,
} from '../src/resource';

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
  resourceDetectionTimeoutMs: 2000,
};

/** Without detectors that ask others. */
const createResource = (config: Parameters<typeof create>[0]): ProcessResource =>
  create(config, () => expect.fail('nobody is to be asked'));

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

describe('detectors that ask others', () => {
  const CONFIG = { ...UNSET, resourceDetectors: ['aws', 'os', './mine.js'], serviceName: 'shop' };

  /** Ones that answer when the test says so. */
  function slow(known: Record<string, object> = {}) {
    const asked: { names: readonly string[]; timeoutMs: number }[] = [];
    let found: Parameters<SlowDetectors['detect']>[2] = () => expect.fail('not asked yet');
    let done: () => void = () => expect.fail('not asked yet');
    let started: () => void = () => {};
    const isStarted = new Promise<void>((resolve) => {
      started = resolve;
    });
    const detectors: SlowDetectors = {
      known: (name) => (known[name] ?? {}) as never,
      detect: (names, timeoutMs, onFound) => {
        asked.push({ names, timeoutMs });
        found = onFound;
        started();
        return new Promise((resolve) => {
          done = resolve;
        });
      },
    };
    return {
      detectors,
      asked,
      isStarted,
      found: (name: string, values: object) => found(name, values as never),
      done: () => done(),
    };
  }

  it('are not asked by reading attributes, which have what is known without', () => {
    const { detectors, asked } = slow({ aws: { 'cloud.provider': 'aws' } });
    const resource = create(CONFIG, () => detectors);
    expect(resource.asyncAttributesPending).toBe(true);
    const first = resource.attributes;
    expect(first).toMatchObject({ 'service.name': 'shop', 'cloud.provider': 'aws', 'os.type': expect.any(String) });
    expect(resource.attributes).toBe(first);
    expect(asked).toEqual([]);
    expect(resource.asyncAttributesPending).toBe(true);
  });

  it('are asked once by who waits, and then nothing is pending', async () => {
    const { detectors, asked, isStarted, found, done } = slow({ aws: { 'cloud.provider': 'aws', 'host.id': 'known' } });
    const resource = create(CONFIG, () => detectors);
    const instance = resource.attributes['service.instance.id'];
    const waiting = [resource.waitForAsyncAttributes(), resource.waitForAsyncAttributes()];
    expect(asked).toEqual([]);
    await isStarted;
    found('aws', { 'host.id': 'i-1' });
    expect(resource.asyncAttributesPending).toBe(true);
    // The end of the process would send what has come so far.
    expect(resource.attributes).toMatchObject({ 'cloud.provider': 'aws', 'host.id': 'i-1' });
    found('./mine.js', { team: 'till' });
    done();
    await Promise.all(waiting);
    expect(resource.asyncAttributesPending).toBe(false);
    expect(asked).toEqual([{ names: ['aws', './mine.js'], timeoutMs: 2000 }]);
    const { attributes } = resource;
    expect(attributes).toMatchObject({ 'host.id': 'i-1', team: 'till' });
    expect(attributes['service.instance.id']).toBe(instance);
    found('aws', { 'host.id': 'late' });
    expect(resource.attributes).toBe(attributes);
    expect(attributes['host.id']).toBe('i-1');
    await resource.waitForAsyncAttributes();
    expect(asked).toHaveLength(1);
  });

  it('win over those before them, and lose to those after and to variables', async () => {
    const { detectors, isStarted, found, done } = slow();
    const resource = create({ ...CONFIG, resourceAttributes: { zone: 'mine' } }, () => detectors);
    const waiting = resource.waitForAsyncAttributes();
    await isStarted;
    // In the order of the list, whoever answers first.
    found('./mine.js', { 'host.id': 'of the module', 'os.type': 'of the module', 'service.name': 'of the module' });
    found('aws', { 'host.id': 'of aws', 'os.type': 'of aws', zone: 'of aws', 'telemetry.sdk.name': 'of aws' });
    done();
    await waiting;
    expect(resource.attributes).toMatchObject({
      'host.id': 'of the module',
      'os.type': 'of the module',
      'service.name': 'shop',
      zone: 'mine',
      'telemetry.sdk.name': 'hookline',
    });
  });

  it('are not waited for when the process ends, before or after they were asked', async () => {
    const idle = create(CONFIG, () => expect.fail('nobody is to be asked'));
    idle.stopWaiting();
    expect(idle.asyncAttributesPending).toBe(false);
    await idle.waitForAsyncAttributes();

    const { detectors, isStarted, found } = slow();
    const resource = create(CONFIG, () => detectors);
    const waiting = resource.waitForAsyncAttributes();
    await isStarted;
    resource.stopWaiting();
    await waiting;
    found('aws', { 'host.id': 'late' });
    expect(resource.attributes).not.toHaveProperty(['host.id']);
  });

  it('that cannot be loaded are left out', async () => {
    const resource = create(CONFIG, () => {
      throw new Error('gone');
    });
    await resource.waitForAsyncAttributes();
    expect(resource.asyncAttributesPending).toBe(false);
    expect(resource.attributes).toMatchObject({ 'service.name': 'shop', 'os.type': expect.any(String) });
  });

  it('are waited for by what is merged from them', async () => {
    const { detectors, isStarted, found, done } = slow();
    const merged = createResource({ ...UNSET, resourceDetectors: [] }).merge(create(CONFIG, () => detectors));
    expect(merged.asyncAttributesPending).toBe(true);
    const waiting = merged.waitForAsyncAttributes();
    await isStarted;
    found('aws', { 'host.id': 'i-1' });
    done();
    await waiting;
    expect(merged.asyncAttributesPending).toBe(false);
    expect(Object.fromEntries(merged.getRawAttributes())).toMatchObject({ 'host.id': 'i-1', 'service.name': 'shop' });
    expect(merged.merge(null)).toBe(merged);
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
  const uuid = '15aa6e53-b09a-40c7-8558-c6c31e36c88a';
  const pod = 'e9b90526-f47d-11e8-b2a5-080027b9f4fb';
  const slice = `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${pod.replaceAll('-', '_')}.slice`;
  const fargate = '8cd79a803caf4d2aa945152e934a5c00-1053176469';
  const nothing = (): string => '';

  it.each([
    ['docker, cgroup v1', `12:cpu:/docker/${id}\n11:memory:/docker/${id}\n`, id],
    ['docker in docker', `1:name=systemd:/docker/${other}/docker/${id}`, id],
    ['docker by systemd', `0::/system.slice/docker-${id}.scope`, id],
    ['an old docker', `10:net_prio:/${id}`, id],
    ['kubernetes', `1:name=systemd:/kubepods/besteffort/pod${pod}/${id}`, id],
    ['kubernetes, a runtime with UUIDs', `1:name=systemd:/kubepods/besteffort/pod${pod}/${uuid}`, uuid],
    ['containerd by systemd', `0::/${slice}/cri-containerd-${id}.scope`, id],
    ['containerd from 1.5', `0::/system.slice/containerd.service/${slice}:cri-containerd:${id}`, id],
    ['CRI-O', `0::/${slice}/crio-${id}.scope`, id],
    ['podman', `0::/machine.slice/libpod-${id}.scope/container`, id],
    ['podman without root', `0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope`, id],
    ['ECS on EC2', `9:perf_event:/ecs/shop/5a0d5ceddf6c44c1928d367a815d890f/${id}`, id],
    ['Fargate', `11:hugetlb:/ecs/55091c13-b8cf-4801-b527-f4601742204d/${id}`, id],
    ['Fargate from 1.4', `1:name=systemd:/ecs/8cd79a803caf4d2aa945152e934a5c00/${fargate}`, fargate],
    ['Cloud Foundry', '1:freezer:/garden/6f265890-5165-7fab-6b52-18d1', '6f265890-5165-7fab-6b52-18d1'],
    ['the line that has it', `12:rdma:/\n11:devices:/docker/${id}\n0::/system.slice/docker.service\n`, id],
  ])('is read from %s', (_name, cgroup, expected) => {
    expect(containerId(cgroup, nothing)).toBe(expected);
  });

  const OVERLAY = `600 590 0:40 / / rw - overlay overlay rw,upperdir=/var/lib/docker/overlay2/${other}/diff\n`;

  it.each([
    ['docker', `${OVERLAY}612 600 254:1 /docker/containers/${id}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n`],
    [
      'podman',
      `4245 4237 0:94 /containers/overlay-containers/${id}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw`,
    ],
    [
      'podman without root',
      `983 961 0:56 /containers/storage/overlay-containers/${id}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw`,
    ],
  ])('is read from the hostname mount of %s under cgroup v2', (_name, mounts) => {
    expect(containerId('0::/\n', () => mounts)).toBe(id);
  });

  it.each([
    [
      'the mounts of a host that runs containers',
      `700 30 0:60 / /var/lib/docker/containers/${other}/mounts/shm rw - tmpfs\n`,
    ],
    [
      "the pod's sandbox that containerd mounts the file of",
      `1 2 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/${other}/hostname /etc/hostname rw - ext4 /dev/sda1\n`,
    ],
    ['layers of images', OVERLAY],
  ])('is not taken from %s', (_name, mounts) => {
    expect(containerId('0::/\n', () => mounts)).toBeUndefined();
  });

  it.each([
    '0::/init.scope\n',
    '',
    '0::/\n',
    '7:pids:/user.slice/user-0.slice/session-14.scope',
    `1:cpu:/slice-${uuid}`,
  ])('is not there in %j', (cgroup) => {
    expect(containerId(cgroup, nothing)).toBeUndefined();
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
