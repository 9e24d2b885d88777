import { bindIdentity, helmInstall, INSTALL_DRA_DRIVER, installKinds, makeNamespace } from './remedies';

/** An object that Kubernetes or its provider would not make, or that did not get ready. */
export interface FailedObject {
  /** As Kubernetes calls it: 'Deployment'. */
  readonly kind: string;
  /** What the provider said, and whatever the provider had heard of the pods. */
  readonly error: string;
  /** The object as the program declared it. Parts that are secret are missing. */
  readonly object: unknown;
}

/** What of a pod decides where it may start. */
interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** What it asks for of GPUs, by the name that a device plugin gives them. */
  readonly gpuResource: string | undefined;
  readonly claimsGpu: boolean;
  readonly selector: string;
  readonly image: string;
}

interface Rule {
  readonly says: RegExp;
  readonly sentence: (found: RegExpExecArray, pod: PodFacts, failed: FailedObject) => string | undefined;
}

/**
 * Why an update failed, and what mends it, in one sentence: what the cluster lacks, by the words of those who noticed. Of
 * several reasons the first is said, which is the one that others follow from.
 * @returns undefined where nothing is known beyond what the error says itself
 */
export function explainFailure(failed: FailedObject): string | undefined {
  const pod = podOf(failed.object);
  for (const { says, sentence } of RULES) {
    const found = says.exec(failed.error);
    const said = found === null ? undefined : sentence(found, pod, failed);
    if (said !== undefined) return said;
  }
  return undefined;
}

/** The words of client-go, of Helm, of the kubelet, of the scheduler and of this package's server; the provider passes them on. */
const RULES: readonly Rule[] = [
  {
    says: /no matches for kind "([^"]+)" in version "([^"]+)"/,
    sentence: ([, kind, version]) => `the cluster has no kind ${kind} of ${version}: ${installKinds(version!)}`,
  },
  {
    says: /namespaces? "([^"]+)" not found/,
    sentence: ([, namespace]) => `there is no namespace '${namespace}': ${makeNamespace(namespace!)}`,
  },
  {
    says: /invalid ownership metadata|cannot re-use a name that is still in use/,
    sentence: (_, __, { kind }) =>
      kind === 'Release'
        ? 'what the chart brings is in the cluster already: name the add-on with existing: true, or with adopt: true to take it over'
        : undefined,
  },
  {
    says: /\[(?:ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull)\]/,
    sentence: (_, { image }) =>
      `machines cannot pull an image of the pod${image}: see that it is in the registry by that digest, and that the machines, or imagePullSecrets, may read it`,
  },
  {
    says: /[^\n;]*(?:may not be read|no (?:\w+ )?credentials:|AccessDenied)[^\n]*/,
    sentence: ([said], { serviceAccount }) =>
      `a pod cannot read its model: ${plain(said)}; ${bindIdentity(serviceAccount)}`,
  },
  {
    says: /OOMKilled/,
    sentence: () => 'a pod needs more memory than it was given, and was ended for it: raise memoryMiB',
  },
  {
    // What the server says last, in a line of its own, is kept by the kubelet.
    says: /^\s*\*?\s*error: ([^\n]+)$/m,
    sentence: ([, said]) => `a pod ended, and said why: ${plain(said)}`,
  },
  {
    says: /Insufficient (nvidia\.com\/[\w-]+(?:\.[\w-]+)*)/,
    sentence: ([, resource], { selector }) =>
      `no machine has a free ${resource}: raise maxSize of the GpuInstanceGroup, or lower minReplicas or spareReplica; ${offers(resource!, selector)}`,
  },
  {
    says: /cannot allocate all claims|no matching device|resourceclaim[^\n]*(?:not found|not (?:be )?created)/i,
    sentence: () =>
      `no machine has the GPU that is claimed: ${INSTALL_DRA_DRIVER}, where \`kubectl get deviceclass\` lists none`,
  },
  {
    says: /(?:didn't match Pod's node affinity\/selector|didn't match node selector|had untolerated taint)/,
    sentence: (_, { selector }) =>
      `no machine takes the pod${selector === '' ? '' : `; it wants ${selector}`}: give the service the placement of its GpuInstanceGroup, or raise that group's maxSize`,
  },
  {
    says: /Failed to bind PersistentVolumeClaim|unbound immediate PersistentVolumeClaims/,
    sentence: () =>
      'the volume that holds the models was not made: name a storage class that `kubectl get storageclass` lists',
  },
  {
    // Nobody says of a pod that waits for a machine, or of one that still starts, why it does.
    says: /timed out waiting to be Ready|Minimum number of live Pods was not attained|timed out waiting for the condition|exceeded its progress deadline/,
    sentence: (_, pod) => {
      const where = `kubectl describe pods --namespace ${pod.namespace} --selector app.kubernetes.io/name=${pod.name}`;
      if (pod.claimsGpu)
        return `no pod got ready, ${where} says why; where one waits for its GPU: ${INSTALL_DRA_DRIVER}`;
      if (pod.gpuResource === undefined) return `no pod got ready: ${where} says why, slipway doctor what is missing`;
      return `no pod got ready, ${where} says why; where one waits for ${pod.gpuResource}: raise maxSize of the GpuInstanceGroup, or ${offers(pod.gpuResource, pod.selector)}`;
    },
  },
];

/** GPUs that are there and that nobody gives away look like GPUs that are all taken. */
function offers(resource: string, selector: string): string {
  const nodes = `kubectl get nodes${selector === '' ? '' : ` --selector ${selector}`} --output custom-columns=NAME:.metadata.name,GPUS:.status.allocatable.${resource.replaceAll('.', '\\.')}`;
  return `where \`${nodes}\` shows none there is no device plugin: ${helmInstall('devicePlugin')}`;
}

/** One line of somebody else's, as a part of a sentence. */
function plain(said: string | undefined): string {
  return (said ?? '')
    .replace(/^[\s*]*(?:error: )?/, '')
    .trim()
    .slice(0, 500);
}

type Fields = Readonly<Record<string, unknown>>;

function podOf(object: unknown): PodFacts {
  const template = at(object, 'spec', 'template');
  const spec = at(template, 'spec');
  const containers = listAt(spec, 'containers');
  const limits = Object.keys(fieldsOf(at(containers[0], 'resources', 'limits')));
  const selector = Object.entries(fieldsOf(at(spec, 'nodeSelector')));
  const images = [...listAt(spec, 'initContainers'), ...containers].map((container) => at(container, 'image'));
  const known = [...new Set(images.filter((image) => typeof image === 'string'))];
  return {
    namespace: textAt(object, 'metadata', 'namespace') ?? 'default',
    name: textAt(template, 'metadata', 'labels', 'app.kubernetes.io/name') ?? textAt(object, 'metadata', 'name') ?? '…',
    serviceAccount: textAt(spec, 'serviceAccountName') ?? 'default',
    gpuResource: limits.find((name) => name.startsWith('nvidia.com/')),
    claimsGpu: listAt(spec, 'resourceClaims').length > 0,
    selector: selector.map(([key, value]) => `${key}=${String(value)}`).join(','),
    image: known.length === 0 ? '' : `, ${known.join(' or ')}`,
  };
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => fieldsOf(inner)[key], value);
}

function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const found = at(value, key);
  return Array.isArray(found) ? (found as unknown[]) : [];
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
