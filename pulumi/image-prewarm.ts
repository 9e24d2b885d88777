import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { SpecError, type Placement } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { explained } from './failure-hooks';
import type { LateString } from './late-bound';
import { pinnedImage } from './pinned-image';
import { decideFor } from './refusal';
import { containerSecurity, podSecurity } from '../runtime/spec/kubernetes/pod-security';

/** Images that are brought to machines before pods need them. */
export interface ImagePrewarmArgs {
  readonly namespace: pulumi.Input<string>;
  /** Machines that get the images: a group's, and those that join it later. @default - every machine without a taint */
  readonly placement?: Placement;
  /** Images of servers, by digest. They hold Node: `node --version` is run in each. */
  readonly serverImages?: pulumi.Input<string>[];
  /** Images of models, by digest: mounted, never run. Needs Kubernetes 1.34, as `modelInImage` does. */
  readonly modelImages?: pulumi.Input<string>[];
  /**
   * What waits when everything is there, by digest: an image that does nothing by itself, such as `registry.k8s.io/pause`.
   * @default - Node in the first of serverImages, which takes 40 MiB of each machine
   */
  readonly pauseImage?: pulumi.Input<string>;
  /** Names of secrets of the namespace that hold the login of a registry. @default - nodes pull by their own rights */
  readonly imagePullSecrets?: string[];
  /** How long an update waits for the machines that are there. @default 1800 */
  readonly timeoutSeconds?: number;
}

/**
 * Brings images to the machines of a group, so that a new replica starts without a download. What depends on this
 * component rolls out after the machines that are there have every image; machines that come later pull them at once.
 * Images that no pod uses are removed by the machine when its disk fills: those named here are in use.
 *
 * @example
 * const warm = new ImagePrewarm('warm', { namespace: 'inference', placement: gpus.placement, serverImages: [image] });
 * new InferenceService('digits', { image, placement: gpus.placement, … }, { dependsOn: [warm] });
 */
export class ImagePrewarm extends pulumi.ComponentResource {
  readonly daemonSet: k8s.apps.v1.DaemonSet;
  /** Nobody calls these pods, and they call nobody. */
  readonly networkPolicy: k8s.networking.v1.NetworkPolicy;

  constructor(name: string, args: ImagePrewarmArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:index:ImagePrewarm', name, args, opts);
    const { servers, models, pause, timeoutSeconds } = decideFor(this, () => decide(args), args);
    const { placement, imagePullSecrets = [] } = args;
    const selector = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': 'image-prewarm' };
    const metadata = {
      name,
      namespace: args.namespace,
      labels: { ...selector, 'app.kubernetes.io/part-of': 'slipway' },
    };
    this.networkPolicy = new k8s.networking.v1.NetworkPolicy(
      name,
      { metadata, spec: { podSelector: { matchLabels: selector }, policyTypes: ['Ingress', 'Egress'] } },
      { parent: this },
    );
    this.daemonSet = new k8s.apps.v1.DaemonSet(
      name,
      {
        metadata,
        spec: {
          selector: { matchLabels: selector },
          // Nobody is served by these pods: all machines pull at the same time.
          updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '100%' } },
          template: {
            metadata: { labels: metadata.labels },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              terminationGracePeriodSeconds: 0,
              ...(imagePullSecrets.length === 0
                ? {}
                : { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
              ...(placement === undefined
                ? {}
                : {
                    nodeSelector: { ...placement.nodeSelector },
                    tolerations: placement.tolerations.map((one) => ({ ...one })),
                  }),
              securityContext: podSecurity(),
              ...(servers.length === 0 ? {} : { initContainers: servers.map(pulling) }),
              containers: [waiting(pause, servers, models)],
              ...(models.length === 0
                ? {}
                : {
                    volumes: models.map((reference, i) => ({
                      name: `model-${i}`,
                      image: { reference, pullPolicy: 'IfNotPresent' },
                    })),
                  }),
            },
          },
        },
      },
      {
        parent: this,
        ...explained(this, name),
        dependsOn: [this.networkPolicy],
        customTimeouts: { create: `${timeoutSeconds}s`, update: `${timeoutSeconds}s` },
      },
    );
    this.registerOutputs({});
  }
}

/** The longest delay that Node's timers take. */
const MAX_DELAY_MS = 2 ** 31 - 1;

function decide(args: ImagePrewarmArgs) {
  const servers = pinnedImages(args.serverImages, 'serverImages');
  const models = pinnedImages(args.modelImages, 'modelImages');
  if (servers.length + models.length === 0) {
    throw new SpecError('PREWARM_EMPTY', 'serverImages', 'must name at least one image, or modelImages must, got none');
  }
  const pause = args.pauseImage === undefined ? undefined : pinnedImage(args.pauseImage, 'pauseImage');
  if (pause === undefined && servers.length === 0) {
    throw new SpecError(
      'PREWARM_EMPTY',
      'pauseImage',
      'must be given where no server image is: the image of a model has nothing that could run',
    );
  }
  const timeoutSeconds = integer('timeoutSeconds', args.timeoutSeconds, 1_800, 60, 14_400);
  return { servers, models, pause, timeoutSeconds };
}

function pinnedImages(images: readonly pulumi.Input<string>[] | undefined, path: string): LateString[] {
  return (images ?? []).map((image, i) => pinnedImage(image, `${path}[${i}]`));
}

function pulling(image: LateString, i: number) {
  return { ...container(`pull-${i}`, image), command: ['node', '--version'] };
}

function waiting(pause: LateString | undefined, servers: readonly LateString[], models: readonly LateString[]) {
  const mounts = models.map((_, i) => ({ name: `model-${i}`, mountPath: `/models/${i}`, readOnly: true }));
  return {
    ...container('wait', pause ?? servers[0]!),
    ...(pause === undefined ? { command: ['node', '-e', `setInterval(() => undefined, ${MAX_DELAY_MS})`] } : {}),
    ...(mounts.length === 0 ? {} : { volumeMounts: mounts }),
  };
}

/** Tiny, and within Pod Security *restricted*. Node takes 40 MiB to start. */
function container(name: string, image: LateString) {
  return {
    name,
    image,
    imagePullPolicy: 'IfNotPresent',
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '200m', memory: '64Mi' } },
    securityContext: containerSecurity(),
  };
}
