import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { podsPerGpu, type GpuSharingArgs } from './gpu-sharing';
import { explained } from './failure-hooks';
import { decideFor } from './refusal';
import { ADDON_CHARTS, ADDON_NAMES, type AddonName } from './addon-charts';
import { ADDON_VALUES, gpuResourceName, MONITOR_LABELS, type ChartValues } from './addon-values';

/** How any add-on is installed. */
export interface AddonArgs {
  /** Of the chart. @default - the one that this package was tried with, listed in docs/pulumi/platform.md */
  readonly version?: string;
  /** @default - the chart's usual one, which services of this package take for granted */
  readonly namespace?: string;
  /** Somebody else installed it already: nothing is made, and `provides` says where it is. @default false */
  readonly existing?: boolean;
  /**
   * Takes over objects of the same names that are there without being this release's, as `helm --take-ownership` does.
   * Without it an install that meets them fails and changes nothing. @default false
   */
  readonly adopt?: boolean;
}

/** NVIDIA's device plugin: GPUs become something that pods can ask for. Google Cloud, AKS' managed pools and ACK bring one. */
export interface DevicePluginArgs extends AddonArgs {
  /** How several pods use one GPU, on every GPU machine; give the groups of machines the same. @default - they do not */
  readonly sharing?: GpuSharingArgs;
}

/** NVIDIA's GPU operator, which has the device plugin in it, and metrics of GPUs, and cuts GPUs for MIG. */
export interface GpuOperatorArgs extends AddonArgs {
  /** @default - GPUs are not shared */
  readonly sharing?: GpuSharingArgs;
  /** Whether it installs the driver, for machines whose image has none. @default false */
  readonly installDriver?: boolean;
  /** Whether it installs the container toolkit, for machines whose image has none. @default - as the driver */
  readonly installToolkit?: boolean;
}

/** Prometheus with its operator, Alertmanager, and Grafana. */
export interface MonitoringStackArgs extends AddonArgs {
  /**
   * Secret of the namespace with the keys `admin-user` and `admin-password`.
   * @default - no Grafana: the chart would give it a password that everybody knows
   */
  readonly grafanaAdminSecret?: string;
  /** Disk of Prometheus. @default - none, its series go with its pod */
  readonly storageGiB?: number;
  /** @default 10 */
  readonly retentionDays?: number;
}

/** Karpenter, which brings machines on AWS. Its role, queue and pools of machines are yours. */
export interface KarpenterArgs extends AddonArgs {
  readonly clusterName: pulumi.Input<string>;
  /** Queue of SQS that says when AWS takes a machine back. @default - such machines go without a word */
  readonly interruptionQueue?: pulumi.Input<string>;
  /** Role of its service account. @default - an EKS Pod Identity association that is there */
  readonly roleArn?: pulumi.Input<string>;
}

/** Where charts and images are copied to, for clusters that do not reach the public registries: private ones, and in China. */
export interface MirrorArgs {
  /** Registry that holds every chart under its own name: 'oci://registry.example.com/charts'. @default - the public ones */
  readonly charts?: string;
  /**
   * Registry that holds every image under the path that it has in the public registry: with 'registry.example.com', what is
   * `ghcr.io/kedacore/keda` is `registry.example.com/kedacore/keda`. @default - the public ones
   */
  readonly images?: string;
  /** Who reads the charts. @default - anybody may */
  readonly username?: string;
  /** Kept as a secret. */
  readonly password?: pulumi.Input<string>;
}

/** What a cluster needs beside the services. Nothing is installed unless it is named. */
export interface PlatformAddonsArgs {
  readonly devicePlugin?: DevicePluginArgs;
  readonly gpuOperator?: GpuOperatorArgs;
  /** Scales services on their saturation, on queues and on the time of day. */
  readonly keda?: AddonArgs;
  /** KEDA's HTTP add-on, which wakes services that have no replica. */
  readonly kedaHttp?: AddonArgs;
  readonly monitoring?: MonitoringStackArgs;
  /** Envoy Gateway, a controller of the Gateway API; its chart brings the API's kinds. */
  readonly gateway?: AddonArgs;
  readonly karpenter?: KarpenterArgs;
  /** Quotas and queues for jobs. */
  readonly kueue?: AddonArgs;
  /** @default - charts and images come from where their makers publish them */
  readonly mirror?: MirrorArgs;
  /**
   * Whether the namespaces of the add-ons are made, too, but kube-system, and those of add-ons that are there already. Say
   * false where all of them are. @default true
   */
  readonly createNamespaces?: boolean;
  /** How long one add-on may take until it is undone. @default 600 */
  readonly timeoutSeconds?: number;
}

/** What the add-ons give, in the words of `InferenceService` and of a placement. */
export interface PlatformFacts {
  /** Of a placement: what pods ask for. */
  readonly gpuResourceName?: string;
  /** Of a placement: pods that one GPU is offered to. */
  readonly sharesPerGpu?: number;
  readonly kedaNamespace?: string;
  /** Of `wake.interceptor`. */
  readonly interceptorNamespace?: string;
  readonly monitoringNamespace?: string;
  readonly prometheusUrl?: string;
  /** Of `monitoring`. */
  readonly monitorLabels?: { readonly [key: string]: string };
  /** Controller that a GatewayClass names. */
  readonly gatewayController?: string;
}

/**
 * What a cluster needs beside the services, in a stack of its own: charts in versions that were tried together. The kinds
 * that they bring are known to Kubernetes only once this stack is up, so services, gateways and pools of machines belong
 * to a later one. Nothing has to be handed over: where add-ons are is what services take for granted.
 *
 * A chart that does not get ready in time is undone, and the update fails.
 *
 * @example
 * new PlatformAddons('platform', { devicePlugin: {}, keda: {}, monitoring: { storageGiB: 50 } });
 */
export class PlatformAddons extends pulumi.ComponentResource {
  /** What is there, known once all of it is. */
  readonly provides: pulumi.Output<PlatformFacts>;

  constructor(name: string, args: PlatformAddonsArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:index:PlatformAddons', name, withSecrets(args), opts);
    const { installed, facts, values, timeoutSeconds } = decideFor(this, () => decide(args), args);
    const namespaces = args.createNamespaces === false ? {} : createNamespaces(name, installed, args, this);
    const releases: Partial<Record<AddonName, k8s.helm.v3.Release>> = {};
    const hooks = explained(this, name);
    for (const addon of installed) {
      const before = NEEDS[addon].flatMap((needed) => releases[needed] ?? []);
      const namespace = namespaces[namespaceOf(addon, args)];
      releases[addon] = new k8s.helm.v3.Release(
        `${name}-${ADDON_CHARTS[addon].release}`,
        { ...chartOf(addon, args), values: values[addon], timeout: timeoutSeconds },
        {
          parent: this,
          ...hooks,
          dependsOn: [...before, ...(namespace === undefined ? [] : [namespace])],
          // Helm has one release of a name.
          deleteBeforeReplace: true,
          customTimeouts: {
            create: `${timeoutSeconds + MARGIN_SECONDS}s`,
            update: `${timeoutSeconds + MARGIN_SECONDS}s`,
          },
        },
      );
    }
    RELEASES.set(this, releases);
    this.provides = pulumi.all(Object.values(releases).map(({ id }) => id)).apply(() => facts);
    this.registerOutputs({ provides: this.provides });
  }

  /** What was installed, by add-on. */
  get releases(): Readonly<Partial<Record<AddonName, k8s.helm.v3.Release>>> {
    return RELEASES.get(this)!;
  }
}

/** What the component says of itself is kept in the state, too. */
function withSecrets(args: PlatformAddonsArgs): PlatformAddonsArgs {
  const { mirror } = args;
  if (mirror?.password === undefined) return args;
  return { ...args, mirror: { ...mirror, password: pulumi.secret(mirror.password) } };
}

const RELEASES = new WeakMap<PlatformAddons, Partial<Record<AddonName, k8s.helm.v3.Release>>>();

/** Undoing a chart takes a while, too, and the provider must not give up before Helm has. */
const MARGIN_SECONDS = 300;
const GATEWAY_CONTROLLER = 'gateway.envoyproxy.io/gatewayclass-controller';
/** There in every cluster, and not ours to make or to delete. */
const SYSTEM_NAMESPACES = ['kube-system', 'default'];

/** Which add-ons must be there before another one, if they are installed at all: those whose kinds or services it uses. */
const NEEDS: Readonly<Record<AddonName, readonly AddonName[]>> = {
  monitoring: [],
  devicePlugin: [],
  gpuOperator: ['monitoring'],
  keda: ['monitoring'],
  kedaHttp: ['keda'],
  gateway: [],
  karpenter: ['monitoring'],
  kueue: [],
};

/** Everything that can be refused, before the first child is declared. */
function decide(args: PlatformAddonsArgs) {
  assertChoice(args);
  const installed = ADDON_NAMES.filter((addon) => args[addon] !== undefined && args[addon].existing !== true);
  const values = Object.fromEntries(installed.map((addon) => [addon, ADDON_VALUES[addon](args)])) as Partial<
    Record<AddonName, ChartValues>
  >;
  const timeoutSeconds = integer('timeoutSeconds', args.timeoutSeconds, 600, 60, 3_600);
  return { installed, values, facts: factsOf(args), timeoutSeconds };
}

function assertChoice(args: PlatformAddonsArgs): void {
  const { devicePlugin, gpuOperator, keda, kedaHttp, mirror, monitoring } = args;
  const refuse = (path: string, sentence: string): never => {
    throw new SpecError('ADDONS_CHOICE', path, sentence);
  };
  if (devicePlugin !== undefined && gpuOperator !== undefined) {
    refuse(
      'gpuOperator',
      'has a device plugin in it, and two of them would offer every GPU twice; name one of the two',
    );
  }
  if (kedaHttp !== undefined && keda === undefined) {
    refuse('kedaHttp', 'needs KEDA; name keda, with existing: true where it is installed already');
  }
  if (mirror?.images !== undefined && gpuOperator !== undefined && gpuOperator.existing !== true) {
    refuse(
      'mirror.images',
      "cannot be given to the GPU operator, whose images have a setting each; mirror them in the nodes' container runtime, or use devicePlugin",
    );
  }
  if (mirror !== undefined && (mirror.username === undefined) !== (mirror.password === undefined)) {
    refuse(
      'mirror',
      `must have username and password, or neither, got only the ${mirror.username === undefined ? 'password' : 'username'}`,
    );
  }
  for (const [path, address] of [
    ['mirror.charts', mirror?.charts],
    ['mirror.images', mirror?.images],
  ] as const) {
    const isOci = path === 'mirror.charts';
    if (
      address === undefined ||
      (isOci ? /^oci:\/\/[^/\s]+(\/[^/\s]+)*$/ : /^[^/:\s]+(:\d+)?(\/[^/\s]+)*$/).test(address)
    )
      continue;
    refuse(
      path,
      `must be a registry such as '${isOci ? 'oci://' : ''}registry.example.com${isOci ? '/charts' : ''}', without a slash at its end, got '${address}'`,
    );
  }
  for (const addon of ADDON_NAMES) {
    const { existing, version, adopt } = args[addon] ?? {};
    const contradiction = version !== undefined ? 'version' : adopt === true ? 'adopt' : undefined;
    if (existing === true && contradiction !== undefined) {
      refuse(
        `${addon}.${contradiction}`,
        'says how to install it, but existing says that nothing is installed; leave one out',
      );
    }
  }
  if (monitoring?.storageGiB !== undefined) integer('monitoring.storageGiB', monitoring.storageGiB, 0, 1, 65_536);
  if (monitoring?.retentionDays !== undefined)
    integer('monitoring.retentionDays', monitoring.retentionDays, 0, 1, 3_650);
}

function factsOf(args: PlatformAddonsArgs): PlatformFacts {
  const { devicePlugin, gpuOperator, keda, kedaHttp, monitoring, gateway } = args;
  const gpus = devicePlugin ?? gpuOperator;
  const monitoringNamespace = namespaceOf('monitoring', args);
  return {
    ...(gpus === undefined
      ? {}
      : { gpuResourceName: gpuResourceName(gpus.sharing), sharesPerGpu: podsPerGpu(gpus.sharing) }),
    ...(keda === undefined ? {} : { kedaNamespace: namespaceOf('keda', args) }),
    ...(kedaHttp === undefined ? {} : { interceptorNamespace: namespaceOf('kedaHttp', args) }),
    ...(monitoring === undefined
      ? {}
      : {
          monitoringNamespace,
          prometheusUrl: `http://prometheus-operated.${monitoringNamespace}.svc:9090`,
          monitorLabels: { ...MONITOR_LABELS },
        }),
    ...(gateway === undefined ? {} : { gatewayController: GATEWAY_CONTROLLER }),
  };
}

function namespaceOf(addon: AddonName, args: PlatformAddonsArgs): string {
  return args[addon]?.namespace ?? ADDON_CHARTS[addon].namespace;
}

function createNamespaces(
  name: string,
  installed: readonly AddonName[],
  args: PlatformAddonsArgs,
  parent: pulumi.ComponentResource,
): Record<string, k8s.core.v1.Namespace> {
  const met = ADDON_NAMES.filter((addon) => args[addon]?.existing === true || args[addon]?.adopt === true);
  // Where something is met, its namespace is there, too.
  const there = new Set([...SYSTEM_NAMESPACES, ...met.map((addon) => namespaceOf(addon, args))]);
  const levels = new Map<string, 'privileged' | 'baseline'>();
  for (const addon of installed) {
    const namespace = namespaceOf(addon, args);
    const { podSecurity } = ADDON_CHARTS[addon];
    if (levels.get(namespace) !== 'privileged') levels.set(namespace, podSecurity);
  }
  return Object.fromEntries(
    [...levels]
      .filter(([namespace]) => !there.has(namespace))
      .map(([namespace, level]) => {
        const labels = { 'pod-security.kubernetes.io/enforce': level };
        return [
          namespace,
          new k8s.core.v1.Namespace(`${name}-${namespace}`, { metadata: { name: namespace, labels } }, { parent }),
        ];
      }),
  );
}

function chartOf(
  addon: AddonName,
  args: PlatformAddonsArgs,
): Omit<k8s.helm.v3.ReleaseArgs, 'values'> & { chart: string } {
  const { repository, chart, version, release } = ADDON_CHARTS[addon];
  const { mirror } = args;
  const place = mirror?.charts ?? repository;
  const isOci = place.startsWith('oci://');
  const login =
    mirror?.charts === undefined || mirror.password === undefined
      ? {}
      : { username: mirror.username!, password: pulumi.secret(mirror.password) };
  const repositoryOpts = { ...(isOci ? {} : { repo: place }), ...login };
  return {
    name: release,
    namespace: namespaceOf(addon, args),
    chart: isOci ? `${place}/${chart}` : chart,
    version: args[addon]?.version ?? version,
    ...(Object.keys(repositoryOpts).length === 0 ? {} : { repositoryOpts }),
    // All of it, or nothing: what does not get ready is undone.
    atomic: true,
    cleanupOnFail: true,
    ...(args[addon]?.adopt === true ? { takeOwnership: true } : {}),
  };
}
