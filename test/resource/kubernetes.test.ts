import { describe, expect, it } from 'vitest';
import { detectKubernetes } from '../../src/resource/kubernetes';

const UID = '7c2e1d6a-93f4-4b8e-a7d1-0f5b2c3d4e5f';
const NAMESPACE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

function detect(env: Record<string, string>, files: Record<string, string> = {}, hostname = 'shop-6f7-abc') {
  return detectKubernetes({
    env,
    read(path) {
      const text = files[path];
      if (text === undefined) throw new Error(`ENOENT: ${path}`);
      return text;
    },
    hostname: () => hostname,
  });
}

describe('a pod', () => {
  const inside = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };

  it('is known by its host name, the namespace of its account and its control group', () => {
    const files = {
      [NAMESPACE]: 'shop\n',
      '/proc/self/cgroup': `0::/kubepods.slice/kubepods-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-aa.scope\n`,
    };
    expect(detect(inside, files)).toEqual({
      'k8s.pod.name': 'shop-6f7-abc',
      'k8s.namespace.name': 'shop',
      'k8s.pod.uid': UID,
    });
  });

  it('is found in the mounts where the control group says nothing', () => {
    const mounts = `36 35 98:0 /var/lib/kubelet/pods/${UID}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n`;
    const older = `36 35 98:0 /kubepods/burstable/pod${UID}/aa / rw - ext4 /dev/sda1 rw\n`;
    expect(detect(inside, { '/proc/self/cgroup': '0::/\n', '/proc/self/mountinfo': older })['k8s.pod.uid']).toBe(UID);
    expect(detect(inside, { '/proc/self/cgroup': '0::/\n', '/proc/self/mountinfo': mounts })['k8s.pod.uid']).toBe(UID);
  });

  it.each([
    ['K8S_POD_NAME', 'k8s.pod.name'],
    ['MY_POD_NAME', 'k8s.pod.name'],
    ['POD_NAMESPACE', 'k8s.namespace.name'],
    ['POD_UID', 'k8s.pod.uid'],
    ['NODE_NAME', 'k8s.node.name'],
    ['CONTAINER_NAME', 'k8s.container.name'],
    ['K8S_CLUSTER_NAME', 'k8s.cluster.name'],
  ])('variable %s gives %s, before all else', (variable, key) => {
    const files = { [NAMESPACE]: 'other', '/etc/podinfo/name': 'other', '/etc/podinfo/uid': 'other' };
    expect(detect({ ...inside, [variable]: 'given' }, files)[key]).toBe('given');
  });

  it('is described by the files of the downward API', () => {
    const files = { '/etc/podinfo/name': 'from-file\n', '/etc/podinfo/namespace': 'ns', '/etc/podinfo/uid': UID };
    expect(detect(inside, files)).toEqual({
      'k8s.pod.name': 'from-file',
      'k8s.namespace.name': 'ns',
      'k8s.pod.uid': UID,
    });
  });

  it('does not take what is no name', () => {
    const env = { ...inside, POD_NAME: 'a b', POD_NAMESPACE: '', NODE_NAME: '../x', POD_UID: 'x'.repeat(300) };
    expect(detect(env)).toEqual({ 'k8s.pod.name': 'shop-6f7-abc' });
  });
});

it('outside of Kubernetes there is nothing, whatever the variables are called', () => {
  expect(detect({ POD_NAME: 'a', NODE_NAME: 'b' })).toEqual({});
});
