import fc from 'fast-check';
import { machinesOf, SpecError, wakeSourceOf, type EngineServiceSpec, type Placement } from 'slipway';
import { renderService, type KubernetesObject } from '../../runtime/cli/service-objects';
import type { FileModel, KubernetesSection } from '../../runtime/cli/spec-file';
import { CLASSIFIER_FACTS, CLASSIFIER_FILES } from '../support/specs';

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const known = { version: 3, facts: CLASSIFIER_FACTS, files: CLASSIFIER_FILES };

const L4: Placement = {
  nodeSelector: { 'slipway.dev/pool': 'l4' },
  tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
  gpuResourceName: 'nvidia.com/gpu',
  instanceTypes: ['g6.xlarge'],
};

type Choice = { readonly spec?: Partial<EngineServiceSpec>; readonly kubernetes?: Partial<KubernetesSection> };

/** One entry of each is chosen for a service. */
const CHOICES = {
  name: { short: { spec: { name: 'r' } }, longest: { spec: { name: `r${'0'.repeat(42)}` } } },
  machines: {
    cpu: {},
    gpu: { kubernetes: { placement: L4 } },
    bounded: { kubernetes: { placement: { ...L4, maxGpus: 8, runtimeClassName: 'nvidia' } } },
    claimed: { kubernetes: { placement: { ...L4, gpuAllocation: 'dra' } } },
    shared: { kubernetes: { placement: { ...L4, sharesPerGpu: 4 } } },
    parted: { kubernetes: { placement: { ...L4, gpuResourceName: 'nvidia.com/mig-1g.5gb', gpuMemoryMiB: 4_864 } } },
  },
  models: {
    fetched: { spec: { models: [model('a')] } },
    pulled: { spec: { models: [model('a', { image: `registry.example.com/models@${digest('1')}` })] } },
    claimed: { spec: { models: [model('a', { volume: { claimName: 'models' } })] } },
    driven: {
      spec: {
        models: [model('a', { volume: { csi: { driver: 'csi.example.com', attributes: { share: 'models' } } } })],
      },
    },
    mixed: {
      spec: {
        models: [
          model('a'),
          model('b.c_d', { volume: { claimName: 'models' } }),
          model('e', { volume: { claimName: 'models' } }),
        ],
      },
    },
  },
  replicas: {
    default: {},
    fixed: { spec: { minReplicas: 3, maxReplicas: 3, spareReplica: false } },
    many: { spec: { minReplicas: 1, maxReplicas: 40, preset: 'development' } },
    asked: {
      spec: { minReplicas: 0 },
      kubernetes: { wake: { interceptor: { hosts: ['a.example.com'], concurrency: 4 } } },
    },
    daily: {
      spec: { minReplicas: 0 },
      kubernetes: { wake: { schedule: { windows: [{ start: '0 8 * * 1-5', end: '0 18 * * 1-5', replicas: 2 }] } } },
    },
    queued: {
      spec: { minReplicas: 0 },
      kubernetes: {
        wake: { queue: { scaler: 'kafka', metadata: { topic: 'asked', lagThreshold: '8' }, authentication: 'kafka' } },
      },
    },
  },
  signal: {
    default: {},
    keda: {
      spec: { metricsFrom: 'keda', targetSaturation: 0.55 },
      kubernetes: { prometheusUrl: 'http://p.m.svc:9090' },
    },
    adapter: { spec: { metricsFrom: 'prometheus-adapter' } },
    cpu: { spec: { metricsFrom: 'cpu' } },
  },
  requests: {
    inside: {},
    callers: { kubernetes: { clientNamespaces: ['web', 'batch'] } },
    routed: { kubernetes: { route: route() } },
    grpc: { kubernetes: { route: route({ grpcHostnames: ['grpc.a.example.com'], path: '/', plaintext: true }) } },
    balanced: { kubernetes: { route: route({}, { section: 'https', proxyCidrs: ['10.9.0.0/23'] }) } },
  },
  tracks: {
    none: {},
    canary: { kubernetes: { canary: { models: [model('a', {}, 4)], weightPercent: 5, replicas: 1 } } },
    judged: {
      kubernetes: {
        canary: {
          models: [model('a', {}, 4)],
          image: server('3'),
          weightPercent: 50,
          verdict: { maxErrorIncrease: 0 },
        },
      },
    },
    shadow: { kubernetes: { shadow: { models: [model('a', {}, 4)], percent: 33 } } },
    both: {
      kubernetes: {
        canary: { models: [model('a', {}, 4)], weightPercent: 0 },
        shadow: { models: [model('a', {}, 5)], percent: 100, replicas: 2 },
      },
    },
  },
  engine: { deployment: {}, kserve: { kubernetes: { engine: 'kserve' } } },
  monitoring: {
    default: {},
    off: { kubernetes: { monitoring: { enabled: false } } },
    all: { kubernetes: { monitoring: { alerts: true, dashboard: true, labels: { team: 'vision' } } } },
  },
  cluster: {
    plain: {},
    strict: {
      spec: { requestDeadlineSeconds: 60, maxBodyMiB: 8, queueDepthRows: 64, hooks: false },
      kubernetes: {
        createNamespace: true,
        imagePullSecrets: ['registry', 'mirror'],
        priorityClassName: 'online',
        kubernetesVersion: '1.36',
        identity: {
          serviceAccountAnnotations: { 'example.com/role': 'reader' },
          podLabels: { 'azure.workload.identity/use': 'true' },
          namespaceLabels: { 'example.com/identity': 'injected' },
          egress: [{ cidr: '169.254.170.23/32', port: 80 }],
          environment: { AWS_REGION: 'eu-west-1' },
        },
      },
    },
  },
} satisfies Record<string, Record<string, Choice>>;

export type Dimension = keyof typeof CHOICES;
export type Chosen = Readonly<Record<Dimension, string>>;

export interface Generated {
  readonly chosen: Chosen;
  readonly objects: readonly KubernetesObject[];
}

export interface Refused {
  readonly chosen: Chosen;
  readonly why: SpecError;
}

/** Names of all that may be chosen, as `dimension choice`. */
export const EVERYTHING: readonly string[] = Object.entries(CHOICES).flatMap(([dimension, choices]) =>
  Object.keys(choices).map((choice) => `${dimension} ${choice}`),
);

/** The same services at every call: a random part of all that there are. */
export function generateServices(count: number, namespace: string): { made: Generated[]; refused: Refused[] } {
  const entries = Object.entries(CHOICES).map(([name, choices]) => [name, fc.constantFrom(...Object.keys(choices))]);
  const some = fc.sample(fc.record(Object.fromEntries(entries) as Record<Dimension, fc.Arbitrary<string>>), {
    numRuns: count,
    seed: 6,
  });
  const made: Generated[] = [];
  const refused: Refused[] = [];
  for (const chosen of some) {
    try {
      made.push({ chosen, objects: render(chosen, namespace) });
    } catch (error) {
      if (!SpecError.is(error)) throw error;
      refused.push({ chosen, why: error });
    }
  }
  return { made, refused };
}

function render(chosen: Chosen, namespace: string): readonly KubernetesObject[] {
  const choices = Object.entries(chosen).map(
    ([dimension, choice]) => (CHOICES[dimension as Dimension] as Record<string, Choice>)[choice]!,
  );
  const kubernetes: KubernetesSection = {
    namespace,
    image: server('2'),
    modelRepository: 's3://team-models',
    ...merged(choices.map((choice) => choice.kubernetes)),
  };
  const machines = machinesOf(kubernetes.placement);
  const wakeSource = wakeSourceOf(kubernetes.wake);
  const spec = {
    ...merged(choices.map((choice) => choice.spec)),
    ...(machines === undefined ? {} : { machines }),
    ...(wakeSource === undefined ? {} : { wakeSource }),
  } as EngineServiceSpec & { readonly models: readonly FileModel[] };
  return renderService({ spec, kubernetes }).inOrder;
}

function merged<T extends object>(parts: readonly (T | undefined)[]): T {
  return Object.assign({}, ...parts) as T;
}

function model(name: string, mount: FileModel['mount'] | object = {}, version = 3): FileModel {
  const mounted = Object.keys(mount).length > 0;
  const delivery = mounted
    ? { mount: mount as NonNullable<FileModel['mount']>, delivery: 'image' in mount ? 'image' : 'volume' }
    : {};
  return { name, ...known, version, ...delivery } as FileModel;
}

function route(more: object = {}, gateway: object = {}): NonNullable<KubernetesSection['route']> {
  return {
    gateway: { name: 'public', namespace: 'gateway-system', ...gateway },
    hostnames: ['a.example.com', '*.a.example.com'],
    ...more,
  };
}

function server(digit: string): string {
  return `registry.example.com/slipway@${digest(digit)}`;
}
