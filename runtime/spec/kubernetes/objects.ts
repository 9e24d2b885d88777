/** The Kubernetes objects of one service, in the order they are applied. `S` stands where a value is late-bound. */
export interface ServiceObjects<S> {
  readonly serviceAccount: ServiceAccountObject<S>;
  readonly networkPolicy: NetworkPolicyObject<S>;
  /** With Dynamic Resource Allocation: what every pod claims. */
  readonly gpuClaim?: ResourceClaimTemplateObject<S>;
  readonly deployment: DeploymentObject<S>;
  readonly service: ServiceObject<S>;
  readonly podDisruptionBudget: PodDisruptionBudgetObject<S>;
  readonly autoscaler: AutoscalerObject<S>;
  /** Where an interceptor wakes the service. */
  readonly interceptorRoute?: InterceptorRouteObject<S>;
  readonly serviceMonitor?: ServiceMonitorObject<S>;
  readonly prometheusRule?: PrometheusRuleObject<S>;
  /** A dashboard of Grafana. */
  readonly dashboard?: ConfigMapObject<S>;
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
  resources: {
    requests: Record<string, string>;
    limits: Record<string, string>;
    claims?: { name: string }[];
  };
  startupProbe: HttpProbe;
  readinessProbe: HttpProbe;
  livenessProbe: HttpProbe;
  terminationMessagePolicy: 'FallbackToLogsOnError';
  securityContext: {
    allowPrivilegeEscalation: false;
    readOnlyRootFilesystem: true;
    runAsNonRoot: true;
    capabilities: { drop: string[] };
  };
  volumeMounts: { name: string; mountPath: string; readOnly?: true }[];
}

export type VolumeObject<S> = { name: string } & (
  | { emptyDir: { sizeLimit: string } }
  | { image: { reference: Text<S>; pullPolicy: 'IfNotPresent' } }
  | { persistentVolumeClaim: { claimName: Text<S>; readOnly: true } }
  | { csi: { driver: string; readOnly: true; volumeAttributes?: TextMap<S> } }
);

export interface PodSpecObject<S> {
  serviceAccountName: string;
  automountServiceAccountToken: false;
  enableServiceLinks: false;
  terminationGracePeriodSeconds: number;
  priorityClassName?: string;
  imagePullSecrets?: { name: string }[];
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
  resourceClaims?: { name: string; resourceClaimTemplateName: string }[];
  containers: ContainerObject<S>[];
  volumes: VolumeObject<S>[];
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
    /** Seconds without anything to do after which the last replica goes; only where there may be none. */
    cooldownPeriod?: number;
    minReplicaCount: number;
    maxReplicaCount: number;
    fallback: { failureThreshold: number; replicas: number; behavior: 'currentReplicasIfHigher' };
    advanced: { horizontalPodAutoscalerConfig: { behavior: Record<string, unknown> } };
    triggers: ScaledObjectTrigger<S>[];
  };
}

export interface ScaledObjectTrigger<S> {
  type: string;
  metricType?: 'AverageValue' | 'Utilization';
  metadata: TextMap<S>;
  authenticationRef?: { name: string };
}

export type AutoscalerObject<S> = HorizontalPodAutoscalerObject<S> | ScaledObject<S>;

export interface ResourceClaimTemplateObject<S> {
  apiVersion: 'resource.k8s.io/v1';
  kind: 'ResourceClaimTemplate';
  metadata: ObjectMetadata<S>;
  spec: {
    spec: {
      devices: {
        requests: {
          name: string;
          exactly: {
            deviceClassName: string;
            allocationMode: 'ExactCount';
            count: number;
            selectors?: { cel: { expression: string } }[];
          };
        }[];
      };
    };
  };
}

export interface InterceptorRouteObject<S> {
  apiVersion: 'http.keda.sh/v1beta1';
  kind: 'InterceptorRoute';
  metadata: ObjectMetadata<S>;
  spec: {
    target: { service: string; port: number };
    rules: { hosts: string[] }[];
    scalingMetric: { concurrency: { targetValue: number } };
    coldStart: {
      placeholder: { response: { statusCode: number; headers: Record<string, string>; body: string } };
    };
    timeouts: { request: string; responseHeader: string };
  };
}

export interface ServiceMonitorObject<S> {
  apiVersion: 'monitoring.coreos.com/v1';
  kind: 'ServiceMonitor';
  metadata: ObjectMetadata<S>;
  spec: {
    selector: { matchLabels: Record<string, string> };
    endpoints: { port: string; path: string; interval: string; scrapeTimeout: string }[];
  };
}

export interface PrometheusRuleObject<S> {
  apiVersion: 'monitoring.coreos.com/v1';
  kind: 'PrometheusRule';
  metadata: ObjectMetadata<S>;
  spec: {
    groups: {
      name: string;
      rules: {
        alert: string;
        expr: Text<S>;
        for: string;
        labels: Record<string, string>;
        annotations: Record<string, string>;
      }[];
    }[];
  };
}

export interface ConfigMapObject<S> {
  apiVersion: 'v1';
  kind: 'ConfigMap';
  metadata: ObjectMetadata<S>;
  data: TextMap<S>;
}
