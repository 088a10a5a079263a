import type { Attributes } from '@opentelemetry/api';
import { StatusError } from '../ask';
import { type CloudDetector, type CloudSources, lastSegment, present, text, variable } from './sources';

/** The address of `metadata.google.internal`: a name that has to be looked up holds the process. */
const METADATA_SERVER = '169.254.169.254';
const FLAVOR = 'Google';

/**
 * Cloud Run services and jobs, Cloud Functions, App Engine, GKE and Compute Engine (semantic conventions: resource/cloud-provider/gcp,
 * cloud, faas, host). `gcp.project_id` is what Google's OTLP endpoint files spans by.
 */
export const gcpDetector: CloudDetector = {
  /** Only what no other platform sets: Knative has the variables of Cloud Run services. */
  known(sources) {
    const platform = platformOf(sources);
    if (platform !== 'app_engine' && platform !== 'cloud_run_job') return {};
    return { 'cloud.provider': 'gcp', ...describePlatform(sources, platform) };
  },

  async detect(sources) {
    if (variable(sources, 'METADATA_SERVER_DETECTION')?.toLowerCase() === 'none')
      throw new Error('METADATA_SERVER_DETECTION is none');
    const metadata = new Metadata(sources);
    const project = await metadata.first('project/project-id');
    const platform = platformOf(sources);
    return present({
      'cloud.provider': 'gcp',
      'cloud.account.id': project,
      'gcp.project_id': project,
      ...(platform === undefined
        ? await describeMachine(sources, metadata)
        : await describeService(sources, platform, metadata)),
    });
  },
};

type Platform = 'cloud_functions' | 'cloud_run' | 'cloud_run_job' | 'app_engine';

/** Where code runs without a machine of its own. Functions come first: the newer ones run in Cloud Run. */
function platformOf(sources: CloudSources): Platform | undefined {
  if (variable(sources, 'KUBERNETES_SERVICE_HOST') !== undefined) return undefined;
  if (variable(sources, 'FUNCTION_TARGET') !== undefined) return 'cloud_functions';
  if (variable(sources, 'K_CONFIGURATION') !== undefined) return 'cloud_run';
  if (variable(sources, 'CLOUD_RUN_JOB') !== undefined) return 'cloud_run_job';
  return variable(sources, 'GAE_SERVICE') === undefined ? undefined : 'app_engine';
}

/** What variables tell. */
function describePlatform(sources: CloudSources, platform: Platform): Attributes {
  if (platform === 'app_engine') {
    return present({
      'cloud.platform': 'gcp_app_engine',
      'faas.name': variable(sources, 'GAE_SERVICE'),
      'faas.version': variable(sources, 'GAE_VERSION'),
      'faas.instance': variable(sources, 'GAE_INSTANCE'),
    });
  }
  if (platform === 'cloud_run_job') {
    const index = variable(sources, 'CLOUD_RUN_TASK_INDEX');
    return present({
      'cloud.platform': 'gcp_cloud_run',
      'faas.name': variable(sources, 'CLOUD_RUN_JOB'),
      'gcp.cloud_run.job.execution': variable(sources, 'CLOUD_RUN_EXECUTION'),
      'gcp.cloud_run.job.task_index': index !== undefined && /^\d{1,9}$/.test(index) ? Number(index) : undefined,
    });
  }
  return present({
    'cloud.platform': platform === 'cloud_run' ? 'gcp_cloud_run' : 'gcp_cloud_functions',
    'faas.name': variable(sources, 'K_SERVICE'),
    'faas.version': variable(sources, 'K_REVISION'),
  });
}

async function describeService(sources: CloudSources, platform: Platform, metadata: Metadata): Promise<Attributes> {
  const isAppEngine = platform === 'app_engine';
  const [id, region, zone] = await Promise.all([
    isAppEngine ? undefined : metadata.optional('instance/id'),
    metadata.optional('instance/region'),
    isAppEngine ? metadata.optional('instance/zone') : undefined,
  ]);
  return {
    'faas.instance': id,
    ...describePlatform(sources, platform),
    'cloud.region': lastSegment(region) ?? regionOf(lastSegment(zone)),
    'cloud.availability_zone': lastSegment(zone),
  };
}

/** GKE's nodes are machines of Compute Engine that know their cluster. */
async function describeMachine(sources: CloudSources, metadata: Metadata): Promise<Attributes> {
  const inKubernetes = variable(sources, 'KUBERNETES_SERVICE_HOST') !== undefined;
  const [cluster, location, id, type, name, hostname, path] = await Promise.all([
    inKubernetes ? metadata.optional('instance/attributes/cluster-name') : undefined,
    inKubernetes ? metadata.optional('instance/attributes/cluster-location') : undefined,
    metadata.optional('instance/id'),
    metadata.optional('instance/machine-type'),
    metadata.optional('instance/name'),
    metadata.optional('instance/hostname'),
    metadata.optional('instance/zone'),
  ]);
  if (cluster !== undefined) {
    // A zone has a part more than its region: us-central1-a.
    const isZone = location?.split('-').length === 3;
    return {
      'cloud.platform': 'gcp_kubernetes_engine',
      'cloud.region': isZone ? regionOf(location) : location,
      'cloud.availability_zone': isZone ? location : undefined,
      'k8s.cluster.name': cluster,
      'host.id': id,
    };
  }
  const zone = lastSegment(path);
  return {
    'cloud.platform': type === undefined ? undefined : 'gcp_compute_engine',
    'cloud.region': regionOf(zone),
    'cloud.availability_zone': zone,
    'host.id': id,
    'host.type': lastSegment(type),
    'host.name': name,
    'gcp.gce.instance.name': name,
    'gcp.gce.instance.hostname': hostname,
  };
}

/** `us-central1` of `us-central1-a`. */
function regionOf(zone: string | undefined): string | undefined {
  return zone === undefined || !zone.includes('-') ? undefined : zone.slice(0, zone.lastIndexOf('-'));
}

class OtherServerError extends Error {
  constructor() {
    super('not the metadata server of Google Cloud');
  }
}

/** The metadata server, which the variables of Google's libraries may move. */
class Metadata {
  readonly #sources: CloudSources;
  readonly #base: string;

  constructor(sources: CloudSources) {
    this.#sources = sources;
    const host = variable(sources, 'GCE_METADATA_HOST') ?? variable(sources, 'GCE_METADATA_IP') ?? METADATA_SERVER;
    this.#base = `${host.includes('://') ? host : `http://${host}`}/computeMetadata/v1`;
  }

  /** GKE's server refuses connections in the first seconds of a pod. */
  async first(path: string): Promise<string | undefined> {
    const mayComeLater = variable(this.#sources, 'KUBERNETES_SERVICE_HOST') !== undefined;
    for (;;) {
      try {
        return await this.required(path);
      } catch (error) {
        const isAnswer = error instanceof StatusError || error instanceof OtherServerError;
        if (!mayComeLater || isAnswer || !(await this.#sources.pause())) throw error;
      }
    }
  }

  async required(path: string): Promise<string | undefined> {
    const { body, headers } = await this.#sources.ask(`${this.#base}/${path}`, {
      headers: { 'metadata-flavor': FLAVOR },
    });
    // Other platforms have other services at the same address.
    if (headers['metadata-flavor'] !== FLAVOR) throw new OtherServerError();
    return text(body);
  }

  optional(path: string): Promise<string | undefined> {
    return this.required(path).catch(() => undefined);
  }
}
