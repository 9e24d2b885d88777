import * as k8s from '@pulumi/kubernetes';
import { PlatformAddons } from '../../../pulumi';

// A team that has nothing yet.
const platform = new PlatformAddons('platform', {
  devicePlugin: { sharing: { strategy: 'timeSlicing', podsPerGpu: 4 } },
  keda: {},
  kedaHttp: {},
  monitoring: { storageGiB: 50, grafanaAdminSecret: 'grafana-admin' },
  gateway: {},
});
export const provides = platform.provides;

// Another cluster, which reaches no public registry, and knows its name only when it is there.
const cluster = new k8s.core.v1.Namespace('cluster-name');
new PlatformAddons(
  'private',
  {
    gpuOperator: { existing: true, sharing: { strategy: 'mig', podsPerGpu: 7, migProfile: '1g.5gb' } },
    monitoring: { namespace: 'observability', version: '88.5.3', adopt: true },
    karpenter: { clusterName: cluster.metadata.uid, interruptionQueue: 'spot' },
    kueue: {},
    keda: {},
    kedaHttp: {},
    mirror: {
      charts: 'oci://registry.example.com/charts',
      images: 'registry.example.com',
      username: 'reader',
      password: 'plain-text-password',
    },
    timeoutSeconds: 900,
  },
  { protect: true, provider: new k8s.Provider('elsewhere', { kubeconfig: '{}' }) },
);
