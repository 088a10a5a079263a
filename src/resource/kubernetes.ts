import { readFileSync } from 'node:fs';
import type { Attributes } from '@opentelemetry/api';

/** Where the parts come from; tests have their own. */
export interface KubernetesSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file's text; throws when there is none. */
  read(path: string): string;
  /** The pod's name, unless the pod uses the host's network. */
  hostname(): string;
}

/** The service account's namespace, mounted into each container unless the pod opts out. */
const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** Where the documentation of the downward API mounts its files (kubernetes.io, "Downward API"). */
const PODINFO = '/etc/podinfo';

/** By attribute: names of variables that manifests use for the downward API, then the file of it, where there is one. */
const FIELDS = {
  'k8s.pod.name': { variables: ['K8S_POD_NAME', 'POD_NAME', 'MY_POD_NAME'], files: ['name', 'pod_name'] },
  'k8s.namespace.name': {
    variables: ['K8S_NAMESPACE_NAME', 'K8S_NAMESPACE', 'POD_NAMESPACE', 'MY_POD_NAMESPACE'],
    files: ['namespace', 'pod_namespace'],
  },
  'k8s.pod.uid': { variables: ['K8S_POD_UID', 'POD_UID', 'MY_POD_UID'], files: ['uid', 'pod_uid'] },
  'k8s.node.name': { variables: ['K8S_NODE_NAME', 'NODE_NAME', 'MY_NODE_NAME'], files: [] },
  'k8s.container.name': { variables: ['K8S_CONTAINER_NAME', 'CONTAINER_NAME', 'MY_CONTAINER_NAME'], files: [] },
  'k8s.cluster.name': { variables: ['K8S_CLUSTER_NAME', 'CLUSTER_NAME'], files: [] },
} as const;

/** A Kubernetes name or uid; a file or variable of another make is left alone. */
const VALUE = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,252}$/;

/** `pod<uid>` in a control group, with underscores where systemd makes it, or `pods/<uid>` in the kubelet's mounts. */
const POD_UID = /[/-]pod(?:s\/)?([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})/;

/**
 * The pod that the process runs in (semantic conventions, resource/k8s): from the downward API's variables and files, the
 * service account's namespace, the host name and the control group. Empty outside of Kubernetes. Asks no server.
 */
export function detectKubernetes(sources: KubernetesSources): Attributes {
  const { env } = sources;
  // The kubelet sets the variable in every container; a process that cleaned its environment still has the account's file.
  const namespace = readValue(sources, NAMESPACE_FILE);
  if (!env['KUBERNETES_SERVICE_HOST'] && namespace === undefined) return {};
  const attributes: Attributes = {};
  for (const [key, { variables, files }] of Object.entries(FIELDS)) {
    const value =
      firstOf(variables, (name) => valid(env[name])) ??
      firstOf(files, (file) => readValue(sources, `${PODINFO}/${file}`));
    if (value !== undefined) attributes[key] = value;
  }
  attributes['k8s.namespace.name'] ??= namespace;
  attributes['k8s.pod.uid'] ??= podUid(sources);
  attributes['k8s.pod.name'] ??= valid(attempt(() => sources.hostname()));
  for (const key of Object.keys(attributes)) if (attributes[key] === undefined) delete attributes[key];
  return attributes;
}

function firstOf<Item>(items: readonly Item[], find: (item: Item) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function podUid({ read }: KubernetesSources): string | undefined {
  for (const file of ['/proc/self/cgroup', '/proc/self/mountinfo']) {
    const uid = POD_UID.exec(attempt(() => read(file)) ?? '')?.[1];
    if (uid !== undefined) return uid.replaceAll('_', '-');
  }
  return undefined;
}

function readValue({ read }: KubernetesSources, path: string): string | undefined {
  return valid(attempt(() => read(path)));
}

function valid(value: string | undefined): string | undefined {
  const text = value?.trim();
  return text !== undefined && VALUE.test(text) ? text : undefined;
}

function attempt<Value>(get: () => Value): Value | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}

/** This process's own. */
export const KUBERNETES_SOURCES: KubernetesSources = {
  env: process.env,
  read: (path) => readFileSync(path, 'utf8'),
  hostname: () => (require('node:os') as typeof import('node:os')).hostname(),
};
