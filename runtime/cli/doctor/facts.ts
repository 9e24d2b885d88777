import type { EvidenceFacts } from '../evidence-facts';

/** Versions of programs on this machine; undefined for one that is not there. */
export interface ToolFacts {
  readonly node: string;
  readonly kubectl?: string;
  readonly pulumi?: string;
  /** The first of docker, podman and buildah. */
  readonly imageBuilder?: string;
}

/** What could be read of a cluster. Nothing in it was changed. */
export interface ClusterFacts {
  readonly context: string;
  readonly server: string;
  /** As in 'v1.36.3'. */
  readonly version: string;
  /** Kinds by the version of the API that serves them: 'keda.sh/v1alpha1' → ScaledObject, … Only of groups that were asked for. */
  readonly kinds: Readonly<Record<string, readonly string[]>>;
  /** Versions that are served, by group: 'keda.sh' → v1alpha1. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly nodes: readonly NodeFacts[];
  /** The service's own; undefined where there is none. */
  readonly namespace?: NamespaceFacts;
  /** What runs on each machine: device plugins are found here. */
  readonly daemonSets: readonly WorkloadFacts[];
  /** Drivers of Dynamic Resource Allocation, with the machines on which each offers something. */
  readonly resourceSlices: readonly { readonly driver: string; readonly node?: string }[];
  readonly deviceClasses: readonly string[];
  readonly prometheuses: readonly PrometheusFacts[];
  /** APIs that something else than the API server answers: metrics. */
  readonly apiServices: readonly ApiServiceFacts[];
  /** What could not be read, and why: mostly rights. */
  readonly unreadable: readonly { readonly what: string; readonly why: string }[];
}

export interface NodeFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  readonly allocatable: Readonly<Record<string, string>>;
  /** As in 'v1.36.3'. */
  readonly kubelet: string;
  /** As in 'containerd://2.1.4'. */
  readonly runtime: string;
}

export interface NamespaceFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface WorkloadFacts {
  readonly namespace: string;
  readonly name: string;
  readonly images: readonly string[];
}

/** A selector as Kubernetes writes it; undefined selects nothing, an empty one everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface PrometheusFacts {
  readonly namespace: string;
  readonly name: string;
  readonly serviceMonitorSelector?: LabelSelector;
  readonly serviceMonitorNamespaceSelector?: LabelSelector;
  readonly ruleSelector?: LabelSelector;
  readonly ruleNamespaceSelector?: LabelSelector;
}

export interface ApiServiceFacts {
  /** As in 'v1beta1.metrics.k8s.io'. */
  readonly name: string;
  /** As in 'kube-system/metrics-server'. */
  readonly service: string;
  readonly isAvailable: boolean;
  readonly message: string;
}

/** What could be read of an AWS account. */
export interface AwsFacts {
  readonly account: string;
  readonly region: string;
  /** By code: 'L-DB2E81BA' → 64. */
  readonly quotas: Readonly<Record<string, number>>;
}

/** What came of a Job that read one object with the identity of the service. */
export interface ProbeFacts {
  readonly uri: string;
  readonly serviceAccount: string;
  readonly isRead: boolean;
  /** What it said, or why it did not run. */
  readonly message: string;
}

/** What a service of a spec file uses of its cluster. */
export interface ServiceNeeds {
  readonly name: string;
  readonly namespace: string;
  readonly createsNamespace: boolean;
  /** That the identity needs, on a namespace that is there already. */
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Each with the first object that needs it. */
  readonly kinds: readonly { readonly apiVersion: string; readonly kind: string; readonly object: string }[];
  /** Models whose image is mounted as a volume. */
  readonly imageVolumes: readonly string[];
  readonly gpu?: GpuNeeds;
  /** What the autoscaler reads. */
  readonly metrics?: 'cpu' | 'custom' | 'external';
  /** Labels of what Prometheus must find; undefined where there is nothing to find. */
  readonly monitorLabels?: Readonly<Record<string, string>>;
  readonly ruleLabels?: Readonly<Record<string, string>>;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  /** vCPUs of all replicas together, by the family of their machines: 'g', 'p'. */
  readonly awsVcpus: Readonly<Record<string, number>>;
}

export interface GpuNeeds {
  readonly resourceName: string;
  readonly perReplica: number;
  readonly usesDra: boolean;
  readonly deviceClass: string;
}

export interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

export interface DoctorFacts {
  readonly tools: ToolFacts;
  readonly cluster?: ClusterFacts;
  readonly aws?: AwsFacts;
  readonly probe?: ProbeFacts;
  readonly needs?: ServiceNeeds;
  /** Of every model, where the service requires evidence. */
  readonly evidence?: readonly EvidenceFacts[];
}
