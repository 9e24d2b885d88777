import type * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { renderModelJob, SpecError, type Placement } from '../runtime/spec';
import { declareObject } from './declare-object';
import { explained } from './failure-hooks';
import { pinnedImage } from './pinned-image';
import { decideFor } from './refusal';
import { bindingOf, type ServiceIdentity } from './service-identity';

export interface ModelJobArgs {
  readonly namespace: pulumi.Input<string>;
  /** Image by digest: that of the server for steps without Python, else one of your own with the package in it. */
  readonly image: pulumi.Input<string>;
  /** What runs `slipway` in an image of your own. @default ['node', '/app/cli.mjs'], the server image's */
  readonly command?: string[];
  /** Text of a pipeline file, as `slipway model pipeline` reads it. Either this or recipes. */
  readonly pipeline?: string;
  /** Texts of pipeline files that run beside each other, each in a pod of its own: an Indexed Job. */
  readonly recipes?: string[];
  /** Small text files beside the pipeline, by name: a network's code, names of classes, preprocessing. @default - none */
  readonly files?: { [name: string]: string };
  /** A PersistentVolumeClaim with models and data, mounted read-only at /data. @default - none */
  readonly dataClaim?: pulumi.Input<string>;
  /** Recipes that run at the same time. @default - all */
  readonly parallelism?: number;
  /** How often each is started again after a network, a store or a machine failed; a closed gate never is. @default 2 */
  readonly backoffLimit?: number;
  /** Longest time of the whole Job. @default 3600 */
  readonly timeoutSeconds?: number;
  /** Kubernetes deletes the ended Job after that; Pulumi then makes it again after a refresh. @default - it is kept */
  readonly ttlSeconds?: number;
  /** Whether an update waits until the Job has ended. @default true */
  readonly waitForCompletion?: boolean;
  /** @default 2 */
  readonly vcpu?: number;
  /** @default 4096 */
  readonly memoryMiB?: number;
  /** For `distil`. @default 0 */
  readonly gpuCount?: number;
  /** Size of the working folder. @default 20 */
  readonly diskGiB?: number;
  /** Identity by which stores are read and written. @default - none */
  readonly identity?: ServiceIdentity;
  /** Machines that pods run on. @default - any without a taint; with GPUs past their usual one */
  readonly placement?: Placement;
  /** @default - nodes pull by their own rights */
  readonly imagePullSecrets?: string[];
}

/**
 * A Job that runs a pipeline of model steps in the cluster, or one pod for each of several recipes. A gate that closes ends
 * its pipeline, and the update fails with the step's sentence.
 *
 * @example
 * new ModelJob('digits', { namespace: 'models', image, pipeline: readFileSync('pipeline.yaml', 'utf8'), dataClaim: 'rows', identity });
 */
export class ModelJob extends pulumi.ComponentResource {
  readonly job: k8s.batch.v1.Job;
  readonly configMap: k8s.core.v1.ConfigMap;
  readonly serviceAccount: k8s.core.v1.ServiceAccount;
  readonly networkPolicy: k8s.networking.v1.NetworkPolicy;
  /** Name of the Job, which follows from what it runs. */
  readonly jobName: pulumi.Output<string>;

  constructor(name: string, args: ModelJobArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:index:ModelJob', name, args, opts);
    const objects = decideFor(this, () => render(name, args), args);
    const child = { parent: this };
    const { serviceAccount, networkPolicy, configMap, job } = objects;
    this.serviceAccount = declareObject(name, serviceAccount, child) as k8s.core.v1.ServiceAccount;
    this.networkPolicy = declareObject(name, networkPolicy, child) as k8s.networking.v1.NetworkPolicy;
    this.configMap = declareObject(name, configMap, child) as k8s.core.v1.ConfigMap;
    const isAwaited = args.waitForCompletion ?? true;
    const unawaited = { ...job, metadata: { ...job.metadata, annotations: { 'pulumi.com/skipAwait': 'true' } } };
    this.job = declareObject(name, isAwaited ? job : unawaited, {
      ...child,
      ...explained(this, name),
      dependsOn: [this.serviceAccount, this.networkPolicy, this.configMap],
      customTimeouts: { create: `${job.spec.activeDeadlineSeconds + MARGIN_SECONDS}s` },
    }) as k8s.batch.v1.Job;
    this.jobName = this.job.metadata.name;
    this.registerOutputs({ jobName: this.jobName });
  }
}

/** What Kubernetes may take to say that time is up. */
const MARGIN_SECONDS = 60;

function render(name: string, args: ModelJobArgs) {
  const { pipeline, recipes } = args;
  if ((pipeline === undefined) === (recipes === undefined)) {
    const got = pipeline === undefined ? 'neither' : 'both';
    throw new SpecError('MODEL_JOB_INVALID', 'pipeline', `give the text of one pipeline, or recipes, got ${got}`);
  }
  const { files, parallelism, backoffLimit, timeoutSeconds, ttlSeconds, vcpu, memoryMiB, gpuCount, diskGiB } = args;
  const { command, dataClaim, placement, imagePullSecrets } = args;
  const serviceAccountName = args.identity?.serviceAccountName;
  return renderModelJob<pulumi.Output<string>>(
    {
      name,
      pipelines: recipes ?? [pipeline!],
      ...given({ files, parallelism, backoffLimit, timeoutSeconds, ttlSeconds, vcpu, memoryMiB, gpuCount, diskGiB }),
    },
    {
      namespace: pulumi.output(args.namespace),
      image: pulumi.output(pinnedImage(args.image, 'image')),
      identity: bindingOf(args.identity ?? {}),
      ...given({ command, placement, imagePullSecrets, serviceAccountName }),
      ...(dataClaim === undefined ? {} : { dataClaim: pulumi.output(dataClaim) }),
    },
  );
}

/** Without what is undefined: an optional field is there or it is not. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
