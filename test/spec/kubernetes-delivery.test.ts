import {
  mountedFolder,
  planInferenceService,
  PLAIN,
  podIdentityBinding,
  renderKubernetesObjects,
  type EgressRule,
  type KubernetesRefs,
  type ModelDelivery,
  type ModelMount,
} from 'slipway';
import { describe, expect, test } from 'vitest';
import { CPU_SPEC } from '../support/specs';

const IMAGE = `registry.example.com/models@sha256:${'2'.repeat(64)}`;
const MOUNTS: Readonly<Record<Exclude<ModelDelivery, 'fetch'>, ModelMount<string>>> = {
  image: { image: IMAGE },
  volume: { volume: { claimName: 'models' } },
};

function render(delivery: ModelDelivery, change: Partial<KubernetesRefs<string>> = {}) {
  const [model] = CPU_SPEC.models;
  const mounted = delivery !== 'fetch';
  return renderKubernetesObjects(planInferenceService({ ...CPU_SPEC, models: [{ ...model!, delivery }] }), {
    ...PLAIN,
    namespace: 'inference',
    image: `registry.example.com/slipway@sha256:${'1'.repeat(64)}`,
    clusterName: 'prod',
    models: { resnet50: { folder: mounted ? mountedFolder('resnet50', 3) : 's3://models/resnet50/3/' } },
    ...(mounted ? { mounts: { resnet50: MOUNTS[delivery] } } : {}),
    ...change,
  });
}

const pod = (objects: ReturnType<typeof render>) => objects.deployment.spec.template.spec;

/** What pods of each cloud must reach to get their credentials. */
const BINDINGS: Readonly<Record<string, EgressRule[]>> = {
  'no identity': [],
  'EKS Pod Identity': podIdentityBinding<string>('eu-west-1').egress,
  'Workload Identity Federation of GKE': [
    { cidr: '169.254.169.252/32', port: 988 },
    { cidr: '169.254.169.254/32', port: 80 },
  ],
  'Microsoft Entra Workload ID': [{ cidr: '0.0.0.0/0', port: 443 }],
  // Their tokens are files, which are changed for credentials at an address of the cloud over 443.
  'IAM Roles for Service Accounts of EKS': [],
  'RAM Roles for Service Accounts of ACK': [],
  'OpenID Connect of TKE': [],
};

describe('pods reach what they need to fetch their models, and nothing where nothing is fetched', () => {
  test.each([
    ['no identity', 'fetch', ['names', '443']],
    ['EKS Pod Identity', 'fetch', ['names', '443', '169.254.170.23/32:80']],
    [
      'Workload Identity Federation of GKE',
      'fetch',
      ['names', '443', '169.254.169.252/32:988', '169.254.169.254/32:80'],
    ],
    ['Microsoft Entra Workload ID', 'fetch', ['names', '443']],
    ['IAM Roles for Service Accounts of EKS', 'fetch', ['names', '443']],
    ['RAM Roles for Service Accounts of ACK', 'fetch', ['names', '443']],
    ['OpenID Connect of TKE', 'fetch', ['names', '443']],
    ...Object.keys(BINDINGS).flatMap((binding) =>
      (['image', 'volume'] as const).map((delivery) => [binding, delivery, ['names']] as const),
    ),
  ] as const)('%s, %s', (binding, delivery, expected) => {
    const identity = {
      serviceAccountAnnotations: {},
      podLabels: {},
      namespaceLabels: {},
      environment: {},
      egress: BINDINGS[binding]!,
    };
    const { egress } = render(delivery, { identity }).networkPolicy.spec;
    expect(egress.map(nameOf)).toEqual(expected);
  });
});

function nameOf({ to, ports }: { to?: { ipBlock?: { cidr: string } }[]; ports: { port: number }[] }): string {
  if (ports.every(({ port }) => port === 53)) return 'names';
  return [...(to ?? []).map(({ ipBlock }) => ipBlock!.cidr), ports.map(({ port }) => port).join()].join(':');
}

test('an image that holds a model is a volume that nobody can write to', () => {
  const { volumes, containers } = pod(render('image'));
  expect(volumes[1]).toEqual({ name: 'models-0', image: { reference: IMAGE, pullPolicy: 'IfNotPresent' } });
  expect(containers[0]!.volumeMounts[1]).toEqual({
    name: 'models-0',
    mountPath: '/models/resnet50',
    readOnly: true,
  });
  const models = containers[0]!.env.find(({ name }) => name === 'SLIPWAY_MODELS')!.value;
  expect(JSON.parse(models)[0].files[0].uri).toBe('file:///models/resnet50/resnet50/3/model.onnx');
});

test('a claim is mounted read-only, and a driver is told that it will be', () => {
  expect(pod(render('volume')).volumes[1]).toEqual({
    name: 'models-0',
    persistentVolumeClaim: { claimName: 'models', readOnly: true },
  });
  const csi = { driver: 'blob.csi.azure.com', attributes: { containerName: 'models' } };
  expect(pod(render('volume', { mounts: { resnet50: { volume: { csi } } } })).volumes[1]).toEqual({
    name: 'models-0',
    csi: { driver: 'blob.csi.azure.com', readOnly: true, volumeAttributes: { containerName: 'models' } },
  });
});

test('models of one image share its volume, each under its own name', () => {
  const [model] = CPU_SPEC.models;
  const models = ['resnet50', 'resnet101'].map((name) => ({ ...model!, name, delivery: 'image' as const }));
  const locations = Object.fromEntries(models.map(({ name }) => [name, { folder: mountedFolder(name, 3) }]));
  const { volumes, containers } = pod(
    renderKubernetesObjects(planInferenceService({ ...CPU_SPEC, models }), {
      ...PLAIN,
      namespace: 'inference',
      image: 'registry.example.com/slipway:1',
      clusterName: 'prod',
      models: locations,
      mounts: { resnet50: { image: IMAGE }, resnet101: { image: IMAGE } },
    }),
  );
  expect(volumes).toHaveLength(2);
  expect(containers[0]!.volumeMounts.slice(1)).toEqual([
    { name: 'models-0', mountPath: '/models/resnet50', readOnly: true },
    { name: 'models-0', mountPath: '/models/resnet101', readOnly: true },
  ]);
});

test('scratch space is asked for what is fetched, and not for what is mounted', () => {
  const scratch = (delivery: ModelDelivery) =>
    pod(render(delivery)).containers[0]!.resources.limits['ephemeral-storage'];
  expect(scratch('fetch')).toBe('1280Mi');
  expect(scratch('image')).toBe('1Gi');
});

test('a model that is to be mounted and has no volume is refused', () => {
  expect(() => render('image', { mounts: {} })).toThrow(
    "MODEL_DELIVERY models.resnet50: is planned with delivery 'image', but nothing is mounted for it",
  );
});

describe('the version of the cluster', () => {
  test.each(['1.34', 'v1.36.3', '1.34.2-gke.1400'])('%s mounts images', (kubernetesVersion) => {
    expect(pod(render('image', { kubernetesVersion })).volumes).toHaveLength(2);
  });

  test('that is too old for what the service uses is refused', () => {
    expect(() => render('image', { kubernetesVersion: '1.33' })).toThrow(
      "KUBERNETES_TOO_OLD kubernetesVersion: model 'resnet50', whose image is mounted as a volume, needs Kubernetes 1.34, the cluster has 1.33",
    );
    expect(() => render('fetch', { kubernetesVersion: '1.26.4' })).toThrow(
      'every service needs Kubernetes 1.27, the cluster has 1.26.4',
    );
  });

  test('must be one', () => {
    expect(() => render('fetch', { kubernetesVersion: 'latest' })).toThrow(
      "NUMBER_INVALID kubernetesVersion: must read like '1.34', got 'latest'",
    );
  });
});

test('a login for a registry and a priority are named in the pod', () => {
  const { imagePullSecrets, priorityClassName } = pod(
    render('fetch', { imagePullSecrets: ['registry'], priorityClassName: 'online' }),
  );
  expect(imagePullSecrets).toEqual([{ name: 'registry' }]);
  expect(priorityClassName).toBe('online');
});
