/** The Kubernetes objects of one service, in the order they are applied. `S` stands where a value is late-bound. */
export interface ServiceObjects<S> {
  readonly serviceAccount: ServiceAccountObject<S>;
  readonly networkPolicy: NetworkPolicyObject<S>;
  readonly deployment: DeploymentObject<S>;
  readonly service: ServiceObject<S>;
  readonly podDisruptionBudget: PodDisruptionBudgetObject<S>;
  readonly autoscaler: AutoscalerObject<S>;
}

type Text<S> = string | S;
type TextMap<S> = Record<string, string | S>;

export interface ObjectMetadata<S> {
  name: string;
  namespace: Text<S>;
  labels: Record<string, string>;
  annotations?: TextMap<S>;
}

export interface ServiceAccountObject<S> {
  apiVersion: 'v1';
  kind: 'ServiceAccount';
  metadata: ObjectMetadata<S>;
  automountServiceAccountToken: false;
}

export interface HttpProbe {
  httpGet: { path: string; port: string };
  periodSeconds: number;
  timeoutSeconds: number;
  failureThreshold: number;
}

export interface ContainerObject<S> {
  name: string;
  image: Text<S>;
  imagePullPolicy: 'IfNotPresent';
  ports: { name: string; containerPort: number; protocol: 'TCP' }[];
  env: { name: string; value: Text<S> }[];
  resources: { requests: Record<string, string>; limits: Record<string, string> };
  startupProbe: HttpProbe;
  readinessProbe: HttpProbe;
  livenessProbe: HttpProbe;
  securityContext: {
    allowPrivilegeEscalation: false;
    readOnlyRootFilesystem: true;
    runAsNonRoot: true;
    capabilities: { drop: string[] };
  };
  volumeMounts: { name: string; mountPath: string }[];
}

export interface PodSpecObject<S> {
  serviceAccountName: string;
  automountServiceAccountToken: false;
  enableServiceLinks: false;
  terminationGracePeriodSeconds: number;
  runtimeClassName?: string;
  nodeSelector?: Record<string, string>;
  tolerations?: { key: string; operator: string; value?: string; effect: string }[];
  topologySpreadConstraints: {
    maxSkew: number;
    topologyKey: string;
    whenUnsatisfiable: 'ScheduleAnyway';
    matchLabelKeys: string[];
    labelSelector: { matchLabels: Record<string, string> };
  }[];
  securityContext: {
    runAsNonRoot: true;
    runAsUser: number;
    runAsGroup: number;
    fsGroup: number;
    fsGroupChangePolicy: 'OnRootMismatch';
    seccompProfile: { type: 'RuntimeDefault' };
  };
  containers: ContainerObject<S>[];
  volumes: { name: string; emptyDir: { sizeLimit: string } }[];
}

/** `replicas` is left out: the autoscaler owns it, and a written value would fight it on every update. */
export interface DeploymentObject<S> {
  apiVersion: 'apps/v1';
  kind: 'Deployment';
  metadata: ObjectMetadata<S>;
  spec: {
    revisionHistoryLimit: number;
    progressDeadlineSeconds: number;
    strategy: { type: 'RollingUpdate'; rollingUpdate: { maxSurge: number; maxUnavailable: number } };
    selector: { matchLabels: Record<string, string> };
    template: {
      metadata: { labels: Record<string, string>; annotations: Record<string, string | S> };
      spec: PodSpecObject<S>;
    };
  };
}

export interface ServiceObject<S> {
  apiVersion: 'v1';
  kind: 'Service';
  metadata: ObjectMetadata<S>;
  spec: {
    type: 'ClusterIP';
    selector: Record<string, string>;
    ports: { name: string; port: number; targetPort: string; protocol: 'TCP'; appProtocol?: string }[];
  };
}

export interface PodDisruptionBudgetObject<S> {
  apiVersion: 'policy/v1';
  kind: 'PodDisruptionBudget';
  metadata: ObjectMetadata<S>;
  spec: {
    maxUnavailable: number;
    unhealthyPodEvictionPolicy: 'AlwaysAllow';
    selector: { matchLabels: Record<string, string> };
  };
}

export interface NetworkPolicyPeer {
  namespaceSelector?: { matchLabels: Record<string, string> };
  /** Without labels: every pod of the policy's own namespace. */
  podSelector?: { matchLabels?: Record<string, string> };
  ipBlock?: { cidr: string };
}

export interface NetworkPolicyObject<S> {
  apiVersion: 'networking.k8s.io/v1';
  kind: 'NetworkPolicy';
  metadata: ObjectMetadata<S>;
  spec: {
    podSelector: { matchLabels: Record<string, string> };
    policyTypes: ['Ingress', 'Egress'];
    ingress: { from: NetworkPolicyPeer[]; ports: { protocol: 'TCP' | 'UDP'; port: number | string }[] }[];
    egress: { to?: NetworkPolicyPeer[]; ports: { protocol: 'TCP' | 'UDP'; port: number }[] }[];
  };
}

export interface HorizontalPodAutoscalerObject<S> {
  apiVersion: 'autoscaling/v2';
  kind: 'HorizontalPodAutoscaler';
  metadata: ObjectMetadata<S>;
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1'; kind: 'Deployment'; name: string };
    minReplicas: number;
    maxReplicas: number;
    metrics: Record<string, unknown>[];
    behavior: Record<string, unknown>;
  };
}

export interface ScaledObject<S> {
  apiVersion: 'keda.sh/v1alpha1';
  kind: 'ScaledObject';
  metadata: ObjectMetadata<S>;
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1'; kind: 'Deployment'; name: string };
    pollingInterval: number;
    initialCooldownPeriod: number;
    minReplicaCount: number;
    maxReplicaCount: number;
    fallback: { failureThreshold: number; replicas: number; behavior: 'currentReplicasIfHigher' };
    advanced: { horizontalPodAutoscalerConfig: { behavior: Record<string, unknown> } };
    triggers: { type: 'prometheus'; metricType: 'AverageValue'; metadata: TextMap<S> }[];
  };
}

export type AutoscalerObject<S> = HorizontalPodAutoscalerObject<S> | ScaledObject<S>;
