import { readFileSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import type { Attributes } from '@opentelemetry/api';
import type { Config, ResourceDetectorName } from './config';
import { detectKubernetes, KUBERNETES_SOURCES } from './resource/kubernetes';
import { startTimer } from './timers';
import { ROOT_CONTEXT, runInContext } from './trace/context';
import { hex32, randomInt32 } from './trace/id';
import { VERSION } from './version';

/**
 * What the process is: one object for the whole run, since exporters group spans by its identity.
 * The methods are those that exporters of SDK 1.x to 3.x call.
 */
export interface Resource {
  readonly attributes: Attributes;
  readonly schemaUrl?: string;
  /** Whether `attributes` may still get more: a detector that asks others has not answered yet, or was not started. */
  readonly asyncAttributesPending: boolean;
  /** Resolves when nothing is pending; starts what is. Bounded by HOOKLINE_RESOURCE_DETECTION_TIMEOUT; never rejects. */
  waitForAsyncAttributes(): Promise<void>;
  getRawAttributes(): [string, unknown][];
  merge(other: Resource | null): Resource;
}

/** The process's own, as `createResource` makes it. */
export interface ProcessResource extends Resource {
  /** The process ends: what is not there by now stays out, and nobody waits for it. */
  stopWaiting(): void;
}

/** Detectors that ask others; their code is read when one of them is named. */
export type SlowDetectors = Pick<typeof import('./resource/load'), 'known' | 'detect'>;

/** Directories that are searched for a package.json, from the main script upwards. */
const MAX_LEVELS = 32;
const MAX_COMMAND_ARGS = 64;
const REDACTED = 'REDACTED';

/** Registry values of `host.arch`; others are passed on as Node names them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { arm: 'arm32', ia32: 'x86', ppc: 'ppc32', x64: 'amd64' };

/** Registry values of `os.type`; others are passed on as Node names them. */
const OPERATING_SYSTEMS: Readonly<Record<string, string>> = { android: 'linux', sunos: 'solaris', win32: 'windows' };

/** OTEL_NODE_RESOURCE_DETECTORS that ask nobody. */
const DETECTORS: Readonly<Record<ResourceDetectorName, () => Attributes>> = {
  container: detectContainer,
  host: detectHost,
  kubernetes: () => detectKubernetes(KUBERNETES_SOURCES),
  os: detectOs,
  process: detectProcess,
  serviceinstance: () => ({ 'service.instance.id': randomUuid() }),
};

type ResourceConfig = Pick<
  Config,
  'serviceName' | 'resourceAttributes' | 'resourceDetectors' | 'resourceDetectionTimeoutMs'
>;

/**
 * The process's resource. Later sources win: detectors in their listed order, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME.
 *
 * Detection reads files and asks the system, so it waits until an exporter reads `attributes` for the first time:
 * start-up pays nothing. Detectors that ask others (`loadSlow` gives them) wait for `waitForAsyncAttributes`; until they have
 * answered, `attributes` holds what is known without. Never throws: what cannot be detected is left out.
 */
export function createResource(config: ResourceConfig, loadSlow: () => SlowDetectors): ProcessResource {
  return new DetectedResource(config, loadSlow);
}

class DetectedResource implements ProcessResource {
  readonly #config: ResourceConfig;
  readonly #loadSlow: () => SlowDetectors;
  readonly #slow: readonly string[];
  /** By detector, in their order; the name of the service comes before all of them. */
  #found: Map<string, Attributes> | undefined = undefined;
  #attributes: Attributes | undefined = undefined;
  #waiting: Promise<void> | undefined = undefined;
  #settle: (() => void) | undefined = undefined;
  asyncAttributesPending: boolean;

  constructor(config: ResourceConfig, loadSlow: () => SlowDetectors) {
    this.#config = config;
    this.#loadSlow = loadSlow;
    this.#slow = config.resourceDetectors.filter((name) => !isOwn(name));
    this.asyncAttributesPending = this.#slow.length > 0;
  }

  get attributes(): Attributes {
    this.#attributes ??= this.#merge();
    return this.#attributes;
  }

  waitForAsyncAttributes(): Promise<void> {
    this.#waiting ??= this.asyncAttributesPending ? this.#detectSlow() : Promise.resolve();
    return this.#waiting;
  }

  stopWaiting(): void {
    this.asyncAttributesPending = false;
    this.#settle?.();
  }

  getRawAttributes(): [string, unknown][] {
    return Object.entries(this.attributes);
  }

  merge(other: Resource | null): Resource {
    return other === null || other === undefined ? this : new MergedResource(this, other);
  }

  #detectNow(): Map<string, Attributes> {
    const { serviceName, resourceAttributes, resourceDetectors } = this.#config;
    const found = new Map<string, Attributes>();
    found.set('', { 'service.name': serviceName ?? resourceAttributes['service.name'] ?? detectServiceName() });
    for (const name of resourceDetectors) {
      found.set(name, isOwn(name) ? DETECTORS[name]() : (attempt(() => this.#loadSlow().known(name)) ?? {}));
    }
    return found;
  }

  #merge(): Attributes {
    const { serviceName, resourceAttributes } = this.#config;
    this.#found ??= this.#detectNow();
    return {
      ...Object.assign({}, ...this.#found.values()),
      ...resourceAttributes,
      ...(serviceName === undefined ? {} : { 'service.name': serviceName }),
      'telemetry.sdk.name': 'hookline',
      'telemetry.sdk.language': 'nodejs',
      'telemetry.sdk.version': VERSION,
    };
  }

  #detectSlow(): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        this.asyncAttributesPending = false;
        resolve();
      };
      this.#settle = settle;
      const take = (name: string, attributes: Attributes): void => {
        // Later than that, the resource is what has been sent already.
        if (!this.asyncAttributesPending) return;
        this.#found ??= this.#detectNow();
        this.#found.set(name, { ...this.#found.get(name), ...attributes });
        this.#attributes = undefined;
      };
      const start = (): void => {
        try {
          const { resourceDetectionTimeoutMs } = this.#config;
          this.#loadSlow().detect(this.#slow, resourceDetectionTimeoutMs, take).then(settle, settle);
        } catch {
          settle();
        }
      };
      // Off the application's stack: reading the code of HTTP takes milliseconds.
      runInContext(ROOT_CONTEXT.suppress(), () => startTimer(start, 0).unref());
    });
  }
}

/** Where both have a key, `right` wins. */
class MergedResource implements Resource {
  readonly #left: Resource;
  readonly #right: Resource;

  constructor(left: Resource, right: Resource) {
    this.#left = left;
    this.#right = right;
  }

  get attributes(): Attributes {
    return { ...this.#left.attributes, ...this.#right.attributes };
  }

  get asyncAttributesPending(): boolean {
    return this.#left.asyncAttributesPending || this.#right.asyncAttributesPending;
  }

  async waitForAsyncAttributes(): Promise<void> {
    await Promise.all([this.#left.waitForAsyncAttributes(), this.#right.waitForAsyncAttributes()]);
  }

  getRawAttributes(): [string, unknown][] {
    return Object.entries(this.attributes);
  }

  merge(other: Resource | null): Resource {
    return other === null || other === undefined ? this : new MergedResource(this, other);
  }
}

function isOwn(name: string): name is ResourceDetectorName {
  return Object.hasOwn(DETECTORS, name);
}

/** The result of `read`; `undefined` when it throws (no /proc, no entry in the user database, a sandbox). */
function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function detectServiceName(): string {
  const script = process.argv[1];
  return (typeof script === 'string' ? packageName(script) : undefined) ?? 'unknown_service:node';
}

/**
 * The name in the nearest package.json that has one. `script` may be a directory (`node .`), so the search starts there.
 * A script inside node_modules is some tool that runs the application: the search starts at the application.
 */
function packageName(script: string): string | undefined {
  const modules = script.indexOf(`${sep}node_modules${sep}`);
  let directory = modules < 0 ? script : script.slice(0, modules);
  for (let level = 0; level < MAX_LEVELS; level++) {
    const file = join(directory, 'package.json');
    const name = attempt(() => (JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown } | null)?.name);
    if (typeof name === 'string' && name.trim() !== '') return name.trim();
    const parent = dirname(directory);
    if (parent === directory) return undefined;
    directory = parent;
  }
  return undefined;
}

/** Read with the first span, like the rest of the resource. */
function os(): typeof import('node:os') {
  return require('node:os');
}

function detectProcess(): Attributes {
  const attributes: Attributes = {
    'process.pid': process.pid,
    'process.executable.name': basename(process.execPath),
    'process.executable.path': process.execPath,
    'process.command': process.argv0,
    'process.command_args': commandArgs(process.argv),
    'process.runtime.name': 'nodejs',
    'process.runtime.version': process.versions.node,
    'process.runtime.description': 'Node.js',
  };
  const owner = attempt(() => os().userInfo().username);
  if (owner !== undefined) attributes['process.owner'] = owner;
  return attributes;
}

function detectContainer(): Attributes {
  const container = attempt(readContainerId);
  return container === undefined ? {} : { 'container.id': container };
}

function detectHost(): Attributes {
  const attributes: Attributes = { 'host.arch': ARCHITECTURES[process.arch] ?? process.arch };
  const name = attempt(() => os().hostname());
  if (name !== undefined && name !== '') attributes['host.name'] = name;
  return attributes;
}

function detectOs(): Attributes {
  const attributes: Attributes = { 'os.type': OPERATING_SYSTEMS[process.platform] ?? process.platform };
  const version = attempt(() => os().release());
  if (version !== undefined) attributes['os.version'] = version;
  return attributes;
}

/**
 * A command line without its secrets: executable and script as they are; of every other argument only the name of an
 * option (`--name`, and the first letter of `-p…`), since values, positional arguments and URLs may hold credentials.
 */
export function commandArgs(argv: readonly string[]): string[] {
  return argv.slice(0, MAX_COMMAND_ARGS).map((argument, index) => (index < 2 ? argument : optionName(argument)));
}

function optionName(argument: string): string {
  if (argument === '-' || argument === '--') return argument;
  if (!argument.startsWith('-')) return REDACTED;
  if (!argument.startsWith('--')) return argument.length === 2 ? argument : `${argument.slice(0, 2)}${REDACTED}`;
  let end = 2;
  while (end < argument.length && isNameChar(argument.charCodeAt(end))) end++;
  return end === argument.length ? argument : `${argument.slice(0, end)}=${REDACTED}`;
}

/** Letters, digits, `-`, `_` and `.`. */
function isNameChar(code: number): boolean {
  const isLetter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  return isLetter || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f || code === 0x2e;
}

function readContainerId(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const read = (file: string): string => attempt(() => readFileSync(file, 'latin1')) ?? '';
  return containerId(read('/proc/self/cgroup'), () => read('/proc/self/mountinfo'));
}

/**
 * The container's id in the process's control group (cgroup v1), else in the source of the hostname file that the
 * runtime mounts (cgroup v2, where the process sees its own group as `/`).
 */
export function containerId(cgroup: string, readMountInfo: () => string): string | undefined {
  for (const line of cgroup.split('\n')) {
    const id = lastId(line);
    if (id !== undefined) return id;
  }
  for (const line of readMountInfo().split('\n')) {
    // The mount point tells a container from a host, whose mounts name the containers that it runs. containerd mounts the
    // file of the pod's sandbox, whose id is not the container's.
    const isOwn = line.includes(' /etc/hostname ') && !line.includes('/sandboxes/');
    const id = isOwn ? lastId(line) : undefined;
    if (id !== undefined) return id;
  }
  return undefined;
}

/** Docker, containerd, CRI-O, podman, ECS on EC2. The last one in a line: a container in a container. */
const HEX_ID = /^.*([0-9a-f]{64})/;
/** Fargate from 1.4, below `/ecs/`: the task's id and a number. */
const FARGATE_ID = /^[0-9a-f]{32}-\d+$/;
/** Some runtimes of Kubernetes, and Cloud Foundry. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3,4}[0-9a-f]{0,8}$/;

/** The container that what a line says ends with. */
function lastId(line: string): string | undefined {
  const id = HEX_ID.exec(line)?.[1];
  if (id !== undefined) return id;
  const parts = line.split('/');
  const last = parts.at(-1) ?? '';
  if (parts.includes('ecs') && FARGATE_ID.test(last)) return last;
  const parent = parts.at(-2) ?? '';
  const isPod = parent.startsWith('pod') || parent.includes('-pod') || parent === 'garden';
  return isPod && UUID.test(last) ? last : undefined;
}

/** Version 4 of RFC 9562. The ids' generator, because the crypto module would be loaded for this alone. */
function randomUuid(): string {
  const hex = hex32(randomInt32()) + hex32(randomInt32()) + hex32(randomInt32()) + hex32(randomInt32());
  const variant = '89ab'[randomInt32() & 3];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
