import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { resolveModel, type ModelSource } from '../runtime/onnx/resolve-model';
import { MANIFEST_FILE, SpecError, versionPrefix, type Placement } from '../runtime/spec';
import { CONTAINER_USER } from '../runtime/spec/endpoints';
import { integer } from '../runtime/spec/numbers';
import { explained } from './failure-hooks';
import type { LateString } from './late-bound';
import { modelOnVolume, type Model } from './model';
import { pinnedImage } from './pinned-image';
import { decideFor } from './refusal';
import { bindingOf, type ServiceIdentity } from './service-identity';
import { containerSecurity, podSecurity } from '../runtime/spec/kubernetes/pod-security';

export interface ModelStoreArgs {
  readonly namespace: pulumi.Input<string>;
  /** Image of the server, by digest: its `slipway model pull` fills the volume. */
  readonly image: pulumi.Input<string>;
  /** A PersistentVolumeClaim that is there, which every replica can mount. @default - one is made, of sizeGiB */
  readonly existingClaim?: pulumi.Input<string>;
  /** Size of the claim that is made. */
  readonly sizeGiB?: number;
  /** Of storage that many machines can mount at once: NFS, EFS, Filestore, Azure Files, CephFS. @default - the cluster's own default */
  readonly storageClassName?: pulumi.Input<string>;
  /** Whether the claim, and with it what it holds, stays when the store goes. @default false: it can be filled again */
  readonly keepOnDelete?: boolean;
  /** Identity by which sources are read. @default - none, sources are public or within the cluster's network */
  readonly identity?: ServiceIdentity;
  /** Ports of the sources. @default [443] */
  readonly sourcePorts?: number[];
  /** Machines that the Jobs run on. @default - any without a taint */
  readonly placement?: Placement;
  /** @default - nodes pull by their own rights */
  readonly imagePullSecrets?: string[];
  /** How long one version may take. @default 3600 */
  readonly timeoutSeconds?: number;
}

/** A version of a published model, and where it was published. */
export interface StoredModelSource extends Omit<ModelSource, 'onnxFile'> {
  /** The model repository it lies in: `https://models.example.com`, `s3://team-models`. */
  readonly repositoryUri: pulumi.Input<string>;
  /** Path of the manifest that `slipway model publish` left beside the program: its digest names every byte. */
  readonly manifest: string;
}

/**
 * A volume that holds models, for clusters without a bucket: a model repository that a Job for each version fills from
 * where the version was published, every file by its digest. Replicas mount it read-only and fetch nothing.
 *
 * @example
 * const store = new ModelStore('models', { namespace: 'inference', image, sizeGiB: 20, storageClassName: 'nfs' });
 * const digits = store.model('digits', { repositoryUri: 'https://models.example.com', manifest: 'manifest.json' });
 * new InferenceService('digits', { namespace: 'inference', image, models: [digits] });
 */
export class ModelStore extends pulumi.ComponentResource {
  /** Of the namespace. */
  readonly claimName: pulumi.Output<string>;
  /** Unless a claim was given. */
  readonly claim?: k8s.core.v1.PersistentVolumeClaim;
  readonly serviceAccount: k8s.core.v1.ServiceAccount;
  readonly networkPolicy: k8s.networking.v1.NetworkPolicy;

  constructor(name: string, args: ModelStoreArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:index:ModelStore', name, args, opts);
    const { image, sizeGiB, timeoutSeconds, ports } = decideFor(this, () => decide(name, args), args);
    const { namespace } = args;
    const child = { parent: this };
    if (sizeGiB === undefined) {
      this.claimName = pulumi.output(args.existingClaim!);
    } else {
      const { storageClassName } = args;
      // Many classes make a volume when the first pod asks for it, so to wait for the claim would be to wait for ever.
      const skipAwait = { 'pulumi.com/skipAwait': 'true' };
      this.claim = new k8s.core.v1.PersistentVolumeClaim(
        name,
        {
          metadata: { name, namespace, labels: labelsOf(name), annotations: skipAwait },
          spec: {
            accessModes: ['ReadWriteMany'],
            resources: { requests: { storage: `${sizeGiB}Gi` } },
            ...(storageClassName === undefined ? {} : { storageClassName }),
          },
        },
        { ...child, retainOnDelete: args.keepOnDelete ?? false },
      );
      this.claimName = this.claim.metadata.name;
    }
    const identity = bindingOf(args.identity ?? {});
    const annotations = identity.serviceAccountAnnotations;
    this.serviceAccount = new k8s.core.v1.ServiceAccount(
      name,
      {
        metadata: {
          name: args.identity?.serviceAccountName ?? name,
          namespace,
          labels: labelsOf(name),
          ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
        },
        automountServiceAccountToken: false,
      },
      child,
    );
    this.networkPolicy = new k8s.networking.v1.NetworkPolicy(
      name,
      {
        metadata: { name, namespace, labels: labelsOf(name) },
        spec: {
          podSelector: { matchLabels: selectorOf(name) },
          policyTypes: ['Ingress', 'Egress'],
          egress: [
            {
              to: [
                { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } },
                // NodeLocal DNSCache answers on the node.
                { ipBlock: { cidr: '169.254.20.10/32' } },
              ],
              ports: [
                { protocol: 'UDP', port: 53 },
                { protocol: 'TCP', port: 53 },
              ],
            },
            { ports: ports.map((port) => ({ protocol: 'TCP', port })) },
            ...identity.egress.map(({ cidr, port }) => ({
              to: [{ ipBlock: { cidr } }],
              ports: [{ protocol: 'TCP', port }],
            })),
          ],
        },
      },
      child,
    );
    STORES.set(this, { name, args, image, timeoutSeconds, models: new Map(), watched: explained(this, name) });
    this.registerOutputs({ claimName: this.claimName });
  }

  /**
   * A model version in the store. A service that takes it waits until every file is there.
   * @throws pulumi.ResourceError when the manifest cannot be read or is another model's.
   */
  model(name: string, source: StoredModelSource): Model {
    const { models } = STORES.get(this)!;
    const { repositoryUri, ...known } = source;
    const { version, manifestSha256 } = decideFor(this, () => decideModel(name, known));
    const key = `${name}/${version}`;
    let stored = models.get(key);
    if (stored === undefined) {
      const job = pullJob(this, name, version, manifestSha256, repositoryUri);
      const claimName = pulumi.all([this.claimName, job.id]).apply(([claim]) => claim);
      stored = modelOnVolume({ claimName }, name, known);
      models.set(key, stored);
    }
    return stored;
  }
}

interface Store {
  readonly name: string;
  readonly args: ModelStoreArgs;
  readonly image: LateString;
  readonly timeoutSeconds: number;
  /** By name and version: a model that two services serve is fetched once. */
  readonly models: Map<string, Model>;
  /** Options of the Jobs. */
  readonly watched: Pick<pulumi.CustomResourceOptions, 'hooks'>;
}

/** What the class may not have as fields: every one of them is an output of Pulumi's schema. */
const STORES = new WeakMap<ModelStore, Store>();

const FOLDER = '/store';
/** What a Job may take beyond the pull: a node for its pod, and its image. */
const MARGIN_SECONDS = 900;
const MAX_NAME = 63;

function decide(name: string, args: ModelStoreArgs) {
  const { image, existingClaim, sizeGiB, sourcePorts = [443] } = args;
  if (!/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) {
    throw new SpecError('NAME_INVALID', 'name', `must be 1 to 40 lower-case letters, digits and dashes, got '${name}'`);
  }
  if ((existingClaim === undefined) === (sizeGiB === undefined)) {
    throw new SpecError(
      'MODEL_STORE_CHOICE',
      'sizeGiB',
      `give the size of a claim to make, or existingClaim, got ${sizeGiB === undefined ? 'neither' : 'both'}`,
    );
  }
  if (existingClaim !== undefined && args.storageClassName !== undefined) {
    throw new SpecError(
      'MODEL_STORE_CHOICE',
      'storageClassName',
      'is of a claim that is made; existingClaim has its own',
    );
  }
  return {
    image: pinnedImage(image, 'image'),
    sizeGiB: sizeGiB === undefined ? undefined : integer('sizeGiB', sizeGiB, 1, 1, 65_536),
    timeoutSeconds: integer('timeoutSeconds', args.timeoutSeconds, 3_600, 60, 86_400),
    ports: sourcePorts.map((port, i) => integer(`sourcePorts[${i}]`, port, 443, 1, 65_535)),
  };
}

function decideModel(name: string, source: ModelSource): { version: number; manifestSha256: string } {
  const { version, files = [] } = resolveModel(name, source);
  const manifestSha256 = files.find(({ path }) => path === MANIFEST_FILE)?.sha256;
  if (manifestSha256 !== undefined) return { version, manifestSha256 };
  throw new SpecError(
    'MODEL_STORE_CHOICE',
    `${name}.manifest`,
    'must be given: the volume is filled by the digests in it; slipway model publish --manifest-file leaves one',
  );
}

function pullJob(
  store: ModelStore,
  model: string,
  version: number,
  manifestSha256: string,
  repositoryUri: pulumi.Input<string>,
): k8s.batch.v1.Job {
  const { name, args, image, timeoutSeconds, watched } = STORES.get(store)!;
  const { placement, imagePullSecrets = [] } = args;
  const identity = bindingOf(args.identity ?? {});
  const environment = Object.entries(identity.environment).map(([variable, value]) => ({ name: variable, value }));
  const uri = pulumi
    .output(repositoryUri)
    .apply((repository) => `${repository.replace(/\/+$/, '')}/${versionPrefix(model, version)}`);
  return new k8s.batch.v1.Job(
    `${name}-${model}-${version}`,
    {
      metadata: {
        name: jobName(name, model, version, manifestSha256),
        namespace: args.namespace,
        labels: labelsOf(name),
      },
      spec: {
        // For nodes that go away. What can be tried again is, within the pull.
        backoffLimit: 3,
        activeDeadlineSeconds: timeoutSeconds + MARGIN_SECONDS,
        podFailurePolicy: {
          rules: [
            { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
            { action: 'FailJob', onExitCodes: { containerName: 'pull', operator: 'In', values: [1, 2, 3, 4, 5] } },
          ],
        },
        template: {
          metadata: { labels: { ...labelsOf(name), ...identity.podLabels } },
          spec: {
            restartPolicy: 'Never',
            serviceAccountName: store.serviceAccount.metadata.name,
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            ...(imagePullSecrets.length === 0 ? {} : { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
            ...(placement === undefined
              ? {}
              : {
                  nodeSelector: { ...placement.nodeSelector },
                  tolerations: placement.tolerations.map((one) => ({ ...one })),
                }),
            securityContext: podSecurity({ fsGroup: CONTAINER_USER, fsGroupChangePolicy: 'OnRootMismatch' }),
            containers: [
              {
                name: 'pull',
                image,
                imagePullPolicy: 'IfNotPresent',
                command: ['node', '/app/cli.mjs', 'model', 'pull'],
                args: [uri, FOLDER, `--manifest-sha256=${manifestSha256}`, `--timeout-seconds=${timeoutSeconds}`],
                ...(environment.length === 0 ? {} : { env: environment }),
                resources: { requests: { cpu: '250m', memory: '512Mi' }, limits: { cpu: '2', memory: '512Mi' } },
                // The sentence is then what the deployment's error shows.
                terminationMessagePolicy: 'FallbackToLogsOnError',
                securityContext: containerSecurity(),
                volumeMounts: [
                  { name: 'store', mountPath: FOLDER },
                  { name: 'tmp', mountPath: '/tmp' },
                ],
              },
            ],
            volumes: [
              { name: 'store', persistentVolumeClaim: { claimName: store.claimName } },
              { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
            ],
          },
        },
      },
    },
    {
      parent: store,
      ...watched,
      dependsOn: [store.serviceAccount, store.networkPolicy],
      customTimeouts: { create: `${timeoutSeconds + MARGIN_SECONDS}s` },
    },
  );
}

/** A Job cannot change, so another content is another name. Names of models are longer, and of more letters, than names of objects. */
function jobName(store: string, model: string, version: number, manifestSha256: string): string {
  const end = `-${version}-${manifestSha256.slice(0, 10)}`;
  const words = `${store}-${model.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
  return `${words.slice(0, MAX_NAME - end.length).replace(/-+$/, '')}${end}`;
}

function selectorOf(name: string): Record<string, string> {
  return { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': 'model-store' };
}

function labelsOf(name: string): Record<string, string> {
  return { ...selectorOf(name), 'app.kubernetes.io/part-of': 'slipway' };
}
