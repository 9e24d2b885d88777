import { valueAt, type CheckedResource } from './rule';

// What is read of pods, as the Kubernetes API has it; everything may be missing in somebody's program.
export interface Container {
  readonly name?: string;
  readonly image?: string;
  readonly env?: readonly { readonly name?: string; readonly value?: string }[];
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string | number>>;
    readonly limits?: Readonly<Record<string, string | number>>;
    readonly claims?: readonly unknown[];
  };
  readonly securityContext?: SecurityContext;
  readonly startupProbe?: unknown;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
}

export interface Probe {
  readonly httpGet?: { readonly path?: string; readonly port?: string | number };
}

export interface SecurityContext {
  readonly privileged?: boolean;
  readonly runAsNonRoot?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  readonly seccompProfile?: { readonly type?: string };
}

export interface PodSpec {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: SecurityContext;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly { readonly key?: string; readonly operator?: string }[];
  readonly volumes?: readonly { readonly name?: string; readonly hostPath?: { readonly path?: string } }[];
}

const TEMPLATES: Readonly<Record<string, string>> = {
  'kubernetes:core/v1:Pod': '',
  'kubernetes:apps/v1:Deployment': 'spec.template',
  'kubernetes:apps/v1:StatefulSet': 'spec.template',
  'kubernetes:apps/v1:DaemonSet': 'spec.template',
  'kubernetes:apps/v1:ReplicaSet': 'spec.template',
  'kubernetes:batch/v1:Job': 'spec.template',
  'kubernetes:batch/v1:CronJob': 'spec.jobTemplate.spec.template',
};

interface PodTemplate {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: PodSpec;
}

/** The pods that a workload makes; undefined for what makes none. */
export function podTemplateOf({ type, props }: CheckedResource): PodTemplate | undefined {
  const path = Object.hasOwn(TEMPLATES, type) ? TEMPLATES[type] : undefined;
  if (path === undefined) return undefined;
  return (path === '' ? props : valueAt(props, path)) as PodTemplate | undefined;
}

export function podOf(resource: CheckedResource): PodSpec | undefined {
  return podTemplateOf(resource)?.spec;
}

export function containersOf(resource: CheckedResource): readonly Container[] {
  const pod = podOf(resource);
  return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
}

/** Extended resources that stand for NVIDIA GPUs or shares of them: `nvidia.com/gpu`, `nvidia.com/mig-1g.5gb`. */
export function gpuResources(container: Container): readonly string[] {
  const { requests, limits } = container.resources ?? {};
  return [...new Set([...Object.keys(requests ?? {}), ...Object.keys(limits ?? {})])].filter((name) =>
    /^nvidia\.com\/(gpu|mig-)/.test(name),
  );
}

export function usesGpu(resource: CheckedResource): boolean {
  return containersOf(resource).some((container) => gpuResources(container).length > 0);
}
