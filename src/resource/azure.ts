import type { Attributes } from '@opentelemetry/api';
import {
  type CloudDetector,
  type CloudSources,
  lastSegment,
  parseObject,
  present,
  readText,
  text,
  variable,
} from './sources';

const MEBIBYTE = 1024 * 1024;

/** Instance metadata service; the oldest version that has all of the fields below. */
const INSTANCE_URL = 'http://169.254.169.254/metadata/instance/compute?api-version=2021-12-13&format=json';

/** The config map `aks-cluster-metadata` of `kube-public`, where a pod mounts it: its one key is a file. */
const AKS_FILES = ['/etc/kubernetes/aks-cluster-metadata/clusterResourceId', '/etc/kubernetes/aks-cluster-metadata'];

/** Set in every container of a Container App; its instances have other things of App Service in them. */
const CONTAINER_APP_VARIABLES = ['CONTAINER_APP_NAME', 'CONTAINER_APP_REVISION', 'CONTAINER_APP_REPLICA_NAME'];

/**
 * Functions, App Service, Container Apps, AKS and virtual machines (semantic conventions: resource/cloud, faas, host; registry:
 * azure). The site's name is the name of the service, as Azure's own tools have it.
 */
export const azureDetector: CloudDetector = {
  known: (sources) => describeService(sources) ?? describeAks(sources) ?? {},

  async detect(sources) {
    const service = describeService(sources);
    if (service !== undefined) return service;
    const aks = describeAks(sources);
    if (aks === undefined) return detectMachine(sources);
    return { ...(await detectMachine(sources).catch(() => ({}))), ...aks };
  },
};

/** Where code runs without a machine of its own. */
function describeService(sources: CloudSources): Attributes | undefined {
  if (CONTAINER_APP_VARIABLES.every((name) => variable(sources, name) !== undefined)) {
    return present({
      'cloud.provider': 'azure',
      'cloud.platform': 'azure.container_apps',
      'host.name': variable(sources, 'CONTAINER_APP_HOSTNAME'),
      'azure.container_app.instance.id': variable(sources, 'CONTAINER_APP_REPLICA_NAME'),
      'azure.container_app.name': variable(sources, 'CONTAINER_APP_NAME'),
      'azure.container_app.version': variable(sources, 'CONTAINER_APP_REVISION'),
    });
  }
  const site = variable(sources, 'WEBSITE_SITE_NAME');
  if (site === undefined) return undefined;
  const shared: Attributes = {
    'service.name': site,
    'cloud.provider': 'azure',
    'cloud.region': variable(sources, 'REGION_NAME'),
    'cloud.resource_id': siteResourceId(sources, site),
  };
  const isFunction =
    variable(sources, 'FUNCTIONS_EXTENSION_VERSION') !== undefined ||
    variable(sources, 'WEBSITE_SKU') === 'FlexConsumption';
  if (isFunction) {
    const megabytes = Number(variable(sources, 'WEBSITE_MEMORY_LIMIT_MB'));
    return present({
      ...shared,
      'cloud.platform': 'azure.functions',
      'faas.instance': variable(sources, 'WEBSITE_INSTANCE_ID'),
      'faas.max_memory': megabytes > 0 ? Math.round(megabytes * MEBIBYTE) : undefined,
    });
  }
  return present({
    ...shared,
    'cloud.platform': 'azure.app_service',
    'deployment.environment.name': variable(sources, 'WEBSITE_SLOT_NAME'),
    'host.id': variable(sources, 'WEBSITE_HOSTNAME'),
    'service.instance.id': variable(sources, 'WEBSITE_INSTANCE_ID'),
    'azure.app.service.stamp': variable(sources, 'WEBSITE_HOME_STAMPNAME'),
  });
}

/** WEBSITE_OWNER_NAME is `<subscription>+<plan's group>-<region>webspace`. */
function siteResourceId(sources: CloudSources, site: string): string | undefined {
  const subscription = text(variable(sources, 'WEBSITE_OWNER_NAME')?.split('+')[0]);
  const group = variable(sources, 'WEBSITE_RESOURCE_GROUP');
  if (subscription === undefined || group === undefined) return undefined;
  return `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.Web/sites/${site}`;
}

function describeAks(sources: CloudSources): Attributes | undefined {
  if (variable(sources, 'KUBERNETES_SERVICE_HOST') === undefined) return undefined;
  const id = [
    variable(sources, 'CLUSTER_RESOURCE_ID'),
    ...AKS_FILES.map((file) => text(readText(sources, file))?.replace(/^clusterResourceId=/, '')),
  ].find((candidate) => candidate !== undefined && /\/managedClusters\/[^/\s]+$/i.test(candidate));
  if (id === undefined) return undefined;
  return present({
    'cloud.provider': 'azure',
    'cloud.platform': 'azure.aks',
    'cloud.resource_id': id,
    'k8s.cluster.name': lastSegment(id),
  });
}

async function detectMachine(sources: CloudSources): Promise<Attributes> {
  const { body } = await sources.ask(INSTANCE_URL, { headers: { metadata: 'true' } });
  const machine = parseObject(body);
  if (text(machine?.['vmId']) === undefined) throw new Error('no description of a virtual machine');
  return present({
    'cloud.provider': 'azure',
    'cloud.platform': 'azure.vm',
    'cloud.account.id': text(machine?.['subscriptionId']),
    'cloud.region': text(machine?.['location']),
    'cloud.availability_zone': text(machine?.['zone']),
    'cloud.resource_id': text(machine?.['resourceId']),
    'host.id': text(machine?.['vmId']),
    'host.name': text(machine?.['name']),
    'host.type': text(machine?.['vmSize']),
    'os.version': text(machine?.['version']),
    'azure.vm.scaleset.name': text(machine?.['vmScaleSetName']),
    'azure.vm.sku': text(machine?.['sku']),
  });
}
