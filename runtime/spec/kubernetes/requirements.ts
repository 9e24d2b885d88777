import { SpecError } from '../errors';
import type { InferenceServicePlan } from '../inference-service-plan';
import type { KubernetesRefs } from './refs';

/**
 * First minor version of Kubernetes 1 that has, switched on: `matchLabelKeys` of a spread constraint,
 * `unhealthyPodEvictionPolicy` and the autoscaler's `ContainerResource` (1.27); image volumes (1.34, by
 * keps/sig-node/4639-oci-volume-source of kubernetes/enhancements); `resource.k8s.io/v1` of Dynamic Resource Allocation (1.34).
 */
const FIRST_MINOR = { everything: 27, image: 34, dra: 34 } as const;

/**
 * Holds what a service uses of Kubernetes against the version of its cluster, where that is known.
 * @throws SpecError KUBERNETES_TOO_OLD naming what is too new; NUMBER_INVALID for a version that cannot be read.
 */
export function assertVersion<S>(plan: InferenceServicePlan, refs: KubernetesRefs<S>): void {
  if (refs.kubernetesVersion === undefined) return;
  const minor = minorOf(refs.kubernetesVersion);
  const needs: (readonly [what: string, first: number])[] = [['every service', FIRST_MINOR.everything]];
  const mounted = plan.models.find(({ delivery }) => delivery === 'image');
  if (mounted !== undefined) {
    needs.push([`model '${mounted.name}', whose image is mounted as a volume,`, FIRST_MINOR.image]);
  }
  if (plan.resources.gpuCount > 0 && refs.placement?.gpuAllocation === 'dra') {
    needs.push(['a GPU by Dynamic Resource Allocation', FIRST_MINOR.dra]);
  }
  const missing = needs.find(([, first]) => minor < first);
  if (missing === undefined) return;
  const [what, first] = missing;
  throw new SpecError(
    'KUBERNETES_TOO_OLD',
    'kubernetesVersion',
    `${what} needs Kubernetes 1.${first}, the cluster has ${refs.kubernetesVersion}`,
  );
}

/** Of '1.34', 'v1.34.2' and '1.34.2-gke.100'. */
function minorOf(version: string): number {
  const minor = /^v?1\.([0-9]{1,3})(?![0-9])/.exec(version)?.[1];
  if (minor !== undefined) return Number(minor);
  throw new SpecError('NUMBER_INVALID', 'kubernetesVersion', `must read like '1.34', got '${version}'`);
}
