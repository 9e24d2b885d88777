import { CONTAINER_USER } from '../endpoints';
import { SpecError } from '../errors';
import { integer } from '../numbers';
import { shortHash } from '../short-hash';
import { NO_IDENTITY, type IdentityBinding } from './identity-binding';
import { NODE_LOCAL_DNS, namespace as everyPodOf } from './network-policy';
import type { ConfigMapObject, NetworkPolicyPeer, ObjectMetadata, ServiceAccountObject } from './objects';
import { ANYWHERE, type Placement } from './placement';
import { containerSecurity, podSecurity } from './pod-security';
import { memoryQuantity } from './quantity';

/** What a Job runs, and with how much. Everything is plain but where it runs and what image. */
export interface ModelJobSpec {
  /** Of the Job's objects. */
  readonly name: string;
  /** Texts of pipeline files. One is a Job, several are an Indexed Job with a pod for each. */
  readonly pipelines: readonly string[];
  /** Other small files beside the pipeline, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Pods that run at the same time. @default - all */
  readonly parallelism?: number;
  /** How often a pod is started again for each pipeline, where a network or a disk was to blame. @default 2 */
  readonly backoffLimit?: number;
  /** @default 3600 */
  readonly timeoutSeconds?: number;
  /** How long what has ended is kept. @default - until the Job is deleted */
  readonly ttlSeconds?: number;
  /** @default 2 */
  readonly vcpu?: number;
  /** @default 4096 */
  readonly memoryMiB?: number;
  /** @default 0 */
  readonly gpuCount?: number;
  /** Of the working folder. @default 20 */
  readonly diskGiB?: number;
}

export interface ModelJobRefs<S> {
  readonly namespace: string | S;
  readonly image: string | S;
  /** What runs `slipway`. @default - that of the server image */
  readonly command?: readonly string[];
  /** Of the namespace: models and data, mounted read-only at /data. @default - none */
  readonly dataClaim?: string | S;
  readonly serviceAccountName?: string;
  readonly identity?: IdentityBinding<S>;
  /** @default - machines without a taint, past that of GPUs where one is asked for */
  readonly placement?: Placement;
  readonly imagePullSecrets?: readonly string[];
}

export interface ModelJobObject<S> {
  apiVersion: 'batch/v1';
  kind: 'Job';
  metadata: ObjectMetadata<S>;
  spec: {
    completionMode: 'NonIndexed' | 'Indexed';
    completions: number;
    parallelism: number;
    backoffLimit?: number;
    backoffLimitPerIndex?: number;
    activeDeadlineSeconds: number;
    ttlSecondsAfterFinished?: number;
    podFailurePolicy: { rules: Record<string, unknown>[] };
    template: { metadata: { labels: Record<string, string> }; spec: Record<string, unknown> };
  };
}

export interface ModelJobObjects<S> {
  readonly serviceAccount: ServiceAccountObject<S>;
  readonly networkPolicy: {
    apiVersion: 'networking.k8s.io/v1';
    kind: 'NetworkPolicy';
    metadata: ObjectMetadata<S>;
    spec: {
      podSelector: { matchLabels: Record<string, string> };
      policyTypes: ['Ingress', 'Egress'];
      egress: { to?: NetworkPolicyPeer[]; ports: { protocol: 'TCP' | 'UDP'; port: number }[] }[];
    };
  };
  readonly configMap: ConfigMapObject<S>;
  readonly job: ModelJobObject<S>;
}

const MAX_PIPELINES = 1000;
/** What a ConfigMap may hold, less its own fields. */
const MAX_TEXT_BYTES = 1_000_000;
/** Exit statuses that another attempt would only repeat: a wrong command or file, a closed gate, something not installed. */
const FINAL_STATUSES = [2, 3, 4, 5];
const CONTAINER = 'pipeline';
const PIPELINE_FOLDER = '/pipeline';
const WORK_FOLDER = '/work';

/**
 * The objects of a Job that runs pipeline files. A Job that has run cannot change, so its name follows from what it runs.
 * @throws SpecError NAME_INVALID, NUMBER_INVALID, MODEL_JOB_INVALID
 */
export function renderModelJob<S>(spec: ModelJobSpec, refs: ModelJobRefs<S>): ModelJobObjects<S> {
  const { name, pipelines } = spec;
  if (!/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) {
    throw new SpecError('NAME_INVALID', 'name', `must be 1 to 40 lower-case letters, digits and dashes, got '${name}'`);
  }
  const data = dataOf(spec);
  const run = `${name}-${shortHash(JSON.stringify([data, refs.command ?? []]))}`;
  const identity = refs.identity ?? NO_IDENTITY;
  const annotations = identity.serviceAccountAnnotations;
  const account = refs.serviceAccountName ?? name;
  const isIndexed = pipelines.length > 1;
  const retries = integer('backoffLimit', spec.backoffLimit, 2, 0, 100);
  const ttl = spec.ttlSeconds;
  const metadata = (own: string): ObjectMetadata<S> => ({
    name: own,
    namespace: refs.namespace,
    labels: labelsOf(name),
  });
  return {
    serviceAccount: {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { ...metadata(account), ...(Object.keys(annotations).length === 0 ? {} : { annotations }) },
      automountServiceAccountToken: false,
    },
    networkPolicy: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: metadata(name),
      spec: {
        podSelector: { matchLabels: selectorOf(name) },
        policyTypes: ['Ingress', 'Egress'],
        egress: [
          {
            to: [everyPodOf('kube-system'), { ipBlock: { cidr: NODE_LOCAL_DNS } }],
            ports: [
              { protocol: 'UDP', port: 53 },
              { protocol: 'TCP', port: 53 },
            ],
          },
          // The store has no fixed addresses, so the port is the narrowest thing that can be said.
          { ports: [{ protocol: 'TCP', port: 443 }] },
          ...identity.egress
            .filter(({ port }) => port !== 443)
            .map(({ cidr, port }) => ({ to: [{ ipBlock: { cidr } }], ports: [{ protocol: 'TCP' as const, port }] })),
        ],
      },
    },
    configMap: { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata(run), data },
    job: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: metadata(run),
      spec: {
        completionMode: isIndexed ? 'Indexed' : 'NonIndexed',
        completions: pipelines.length,
        parallelism: integer('parallelism', spec.parallelism, pipelines.length, 1, pipelines.length),
        // One pipeline that fails must not take the others with it.
        ...(isIndexed ? { backoffLimitPerIndex: retries } : { backoffLimit: retries }),
        activeDeadlineSeconds: integer('timeoutSeconds', spec.timeoutSeconds, 3_600, 60, 604_800),
        ...(ttl === undefined ? {} : { ttlSecondsAfterFinished: integer('ttlSeconds', ttl, 0, 0, 31_536_000) }),
        podFailurePolicy: {
          rules: [
            { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
            {
              action: isIndexed ? 'FailIndex' : 'FailJob',
              onExitCodes: { containerName: CONTAINER, operator: 'In', values: FINAL_STATUSES },
            },
          ],
        },
        template: {
          metadata: { labels: { ...labelsOf(name), ...identity.podLabels } },
          spec: podOf(spec, refs, { account, configMap: run, isIndexed, identity }),
        },
      },
    },
  };
}

function podOf<S>(
  spec: ModelJobSpec,
  refs: ModelJobRefs<S>,
  own: { account: string; configMap: string; isIndexed: boolean; identity: IdentityBinding<S> },
): Record<string, unknown> {
  const vcpu = integer('vcpu', spec.vcpu, 2, 1, 256);
  const memory = memoryQuantity(integer('memoryMiB', spec.memoryMiB, 4_096, 256, 4_194_304));
  const gpuCount = integer('gpuCount', spec.gpuCount, 0, 0, 16);
  const disk = `${integer('diskGiB', spec.diskGiB, 20, 1, 16_384)}Gi`;
  const placement = refs.placement ?? (gpuCount > 0 ? ANYWHERE : undefined);
  if (gpuCount > 0 && placement?.gpuAllocation === 'dra') {
    throw new SpecError(
      'MODEL_JOB_INVALID',
      'placement',
      "must offer GPUs as an extended resource, got gpuAllocation 'dra'",
    );
  }
  const gpus = gpuCount === 0 ? {} : { [placement!.gpuResourceName]: String(gpuCount) };
  const { imagePullSecrets = [], dataClaim } = refs;
  const file = own.isIndexed ? '$(JOB_COMPLETION_INDEX).yaml' : '0.yaml';
  const runtimeClass = placement?.runtimeClassName;
  return {
    restartPolicy: 'Never',
    serviceAccountName: own.account,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(imagePullSecrets.length === 0 ? {} : { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
    ...(placement === undefined
      ? {}
      : {
          nodeSelector: { ...placement.nodeSelector },
          tolerations: placement.tolerations.map((one) => ({ ...one })),
        }),
    ...(runtimeClass === undefined ? {} : { runtimeClassName: runtimeClass }),
    securityContext: podSecurity({ fsGroup: CONTAINER_USER, fsGroupChangePolicy: 'OnRootMismatch' }),
    containers: [
      {
        name: CONTAINER,
        image: refs.image,
        imagePullPolicy: 'IfNotPresent',
        command: [...(refs.command ?? ['node', '/app/cli.mjs'])],
        args: ['model', 'pipeline', `${PIPELINE_FOLDER}/${file}`, `--work=${WORK_FOLDER}/steps`],
        env: [
          { name: 'HOME', value: WORK_FOLDER },
          { name: 'TMPDIR', value: '/tmp' },
          ...Object.entries(own.identity.environment).map(([name, value]) => ({ name, value })),
        ],
        resources: {
          requests: { cpu: String(vcpu), memory, ...gpus },
          limits: { cpu: String(vcpu), memory, ...gpus },
        },
        // The sentence is then what the deployment's error shows.
        terminationMessagePolicy: 'FallbackToLogsOnError',
        securityContext: containerSecurity(),
        volumeMounts: [
          { name: 'pipeline', mountPath: PIPELINE_FOLDER, readOnly: true },
          { name: 'work', mountPath: WORK_FOLDER },
          { name: 'tmp', mountPath: '/tmp' },
          ...(dataClaim === undefined ? [] : [{ name: 'data', mountPath: '/data', readOnly: true }]),
        ],
      },
    ],
    volumes: [
      { name: 'pipeline', configMap: { name: own.configMap } },
      { name: 'work', emptyDir: { sizeLimit: disk } },
      { name: 'tmp', emptyDir: { sizeLimit: disk } },
      ...(dataClaim === undefined
        ? []
        : [{ name: 'data', persistentVolumeClaim: { claimName: dataClaim, readOnly: true } }]),
    ],
  };
}

function dataOf({ pipelines, files = {} }: ModelJobSpec): Record<string, string> {
  const refuse = (where: string, what: string): never => {
    throw new SpecError('MODEL_JOB_INVALID', where, what);
  };
  if (pipelines.length === 0 || pipelines.length > MAX_PIPELINES) {
    refuse('recipes', `must be 1 to ${MAX_PIPELINES} pipelines, got ${pipelines.length}`);
  }
  for (const file of Object.keys(files)) {
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$/.test(file) || /^\d+\.yaml$/.test(file)) {
      refuse(`files.${file}`, "must be a name of letters, digits, '.', '_' and '-', and no pipeline's own (0.yaml)");
    }
  }
  const data = { ...Object.fromEntries(pipelines.map((text, i) => [`${i}.yaml`, text])), ...files };
  // There is no encoder here: each escape stands for one byte.
  const bytes = Object.values(data).reduce(
    (sum, text) => sum + encodeURIComponent(text).replace(/%../g, '.').length,
    0,
  );
  if (bytes > MAX_TEXT_BYTES) {
    refuse(
      'files',
      `pipelines and files must be at most ${MAX_TEXT_BYTES} bytes together, got ${bytes}: put data on dataClaim`,
    );
  }
  return data;
}

function selectorOf(name: string): Record<string, string> {
  return { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': 'model-job' };
}

function labelsOf(name: string): Record<string, string> {
  return { ...selectorOf(name), 'app.kubernetes.io/part-of': 'slipway' };
}
