import { describe, expect, it } from 'vitest';
import { azureDetector } from '../../src/resource/azure';
import { machine } from './fake-sources';

const MACHINE = {
  azEnvironment: 'AzurePublicCloud',
  location: 'westus',
  name: 'examplevmname',
  resourceId:
    '/subscriptions/8d10da13/resourceGroups/macikgo-test/providers/Microsoft.Compute/virtualMachines/examplevmname',
  sku: '2019-Datacenter',
  subscriptionId: '8d10da13',
  userData: 'c2VjcmV0',
  version: '15.05.22',
  vmId: '02aab8a4-74ef-476e-8182-f6d2ba4166a6',
  vmScaleSetName: 'crpteste9vflji9',
  vmSize: 'Standard_A3',
  zone: '',
};
const VM = {
  'cloud.provider': 'azure',
  'cloud.platform': 'azure.vm',
  'cloud.account.id': '8d10da13',
  'cloud.region': 'westus',
  'cloud.resource_id': MACHINE.resourceId,
  'host.id': MACHINE.vmId,
  'host.name': 'examplevmname',
  'host.type': 'Standard_A3',
  'os.version': '15.05.22',
  'azure.vm.scaleset.name': 'crpteste9vflji9',
  'azure.vm.sku': '2019-Datacenter',
};
const answer = (url: string, { headers }: { headers?: Readonly<Record<string, string>> }) =>
  url.startsWith('http://169.254.169.254/metadata/instance/compute?api-version=') && headers?.['metadata'] === 'true'
    ? JSON.stringify(MACHINE)
    : undefined;

describe('a virtual machine', () => {
  it('is known by its metadata service', async () => {
    const { sources, asked } = machine({ answer });
    expect(azureDetector.known(sources)).toEqual({});
    expect(asked).toEqual([]);
    expect(await azureDetector.detect(sources)).toEqual(VM);
  });

  it.each(['', '{}', 'null', '{"vmId":""}'])('is not what answers with %j', async (body) => {
    await expect(azureDetector.detect(machine({ answer: () => body }).sources)).rejects.toThrow('no description');
  });

  it('is not there where nobody answers', async () => {
    await expect(azureDetector.detect(machine({}).sources)).rejects.toThrow('no connection');
  });
});

/** These are known by variables alone. */
async function expectKnown(env: Record<string, string>, expected: object): Promise<void> {
  const { sources, asked } = machine({ env, answer });
  expect(azureDetector.known(sources)).toEqual(expected);
  expect(await azureDetector.detect(sources)).toEqual(expected);
  expect(asked).toEqual([]);
}

const SITE = {
  REGION_NAME: 'West Europe',
  WEBSITE_SITE_NAME: 'shop',
  WEBSITE_INSTANCE_ID: 'i-7',
  WEBSITE_OWNER_NAME: '0815+plan-WestEuropewebspace-Linux',
  WEBSITE_RESOURCE_GROUP: 'group',
};
const ID = '/subscriptions/0815/resourceGroups/group/providers/Microsoft.Web/sites/shop';

it('App Service', async () => {
  const env = {
    ...SITE,
    WEBSITE_HOSTNAME: 'shop.azurewebsites.net',
    WEBSITE_SLOT_NAME: 'staging',
    WEBSITE_HOME_STAMPNAME: 'waws-prod-am2-1',
  };
  await expectKnown(env, {
    'service.name': 'shop',
    'service.instance.id': 'i-7',
    'cloud.provider': 'azure',
    'cloud.platform': 'azure.app_service',
    'cloud.region': 'West Europe',
    'cloud.resource_id': ID,
    'deployment.environment.name': 'staging',
    'host.id': 'shop.azurewebsites.net',
    'azure.app.service.stamp': 'waws-prod-am2-1',
  });
  await expectKnown(
    { WEBSITE_SITE_NAME: 'shop' },
    { 'service.name': 'shop', 'cloud.provider': 'azure', 'cloud.platform': 'azure.app_service' },
  );
});

it.each([{ FUNCTIONS_EXTENSION_VERSION: '~4' }, { WEBSITE_SKU: 'FlexConsumption' }])('Functions, %o', async (kind) => {
  await expectKnown(
    { ...SITE, ...kind, WEBSITE_MEMORY_LIMIT_MB: '1536' },
    {
      'service.name': 'shop',
      'cloud.provider': 'azure',
      'cloud.platform': 'azure.functions',
      'cloud.region': 'West Europe',
      'cloud.resource_id': ID,
      'faas.instance': 'i-7',
      'faas.max_memory': 1_610_612_736,
    },
  );
});

it('Container Apps', async () => {
  const env = {
    CONTAINER_APP_NAME: 'shop',
    CONTAINER_APP_REVISION: 'shop--1',
    CONTAINER_APP_REPLICA_NAME: 'shop--1-abc',
    CONTAINER_APP_HOSTNAME: 'shop--1.example.azurecontainerapps.io',
  };
  await expectKnown(env, {
    'cloud.provider': 'azure',
    'cloud.platform': 'azure.container_apps',
    'host.name': 'shop--1.example.azurecontainerapps.io',
    'azure.container_app.instance.id': 'shop--1-abc',
    'azure.container_app.name': 'shop',
    'azure.container_app.version': 'shop--1',
  });
});

describe('AKS', () => {
  const id = '/subscriptions/1/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/shop';
  const cluster = { 'cloud.provider': 'azure', 'cloud.platform': 'azure.aks', 'cloud.resource_id': id };
  const inside = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
  const FILE = '/etc/kubernetes/aks-cluster-metadata';

  it.each([
    ['a variable', { ...inside, CLUSTER_RESOURCE_ID: id }, {}],
    ['the mounted config map', inside, { [`${FILE}/clusterResourceId`]: id }],
    ['one file of it', inside, { [FILE]: `clusterResourceId=${id}\n` }],
  ])('is known by %s, and the node by its service', async (_name, env, files) => {
    const { sources } = machine({ env, files, answer });
    expect(azureDetector.known(sources)).toEqual({ ...cluster, 'k8s.cluster.name': 'shop' });
    expect(await azureDetector.detect(sources)).toEqual({ ...VM, ...cluster, 'k8s.cluster.name': 'shop' });
    const closed = machine({ env, files });
    expect(await azureDetector.detect(closed.sources)).toEqual({ ...cluster, 'k8s.cluster.name': 'shop' });
  });

  it('is not what only has a variable of that name', () => {
    expect(azureDetector.known(machine({ env: { CLUSTER_RESOURCE_ID: id } }).sources)).toEqual({});
    expect(azureDetector.known(machine({ env: { ...inside, CLUSTER_RESOURCE_ID: 'shop' } }).sources)).toEqual({});
  });
});
