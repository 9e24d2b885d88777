import type { MachineFacts } from '../inference-service-spec';
import type { IdentityBinding } from './identity-binding';
import type { Placement } from './placement';

/** What the author of a service decides on Kubernetes alone. Everything here is plain. */
export interface KubernetesChoices {
  /** Nodes that replicas may land on. @default - any node */
  readonly placement?: Placement;
  /** Namespaces whose pods may call the service. @default - the service's own */
  readonly clientNamespaces?: string[];
  /** Namespace of the Prometheus that scrapes the pods. @default 'monitoring' */
  readonly monitoringNamespace?: string;
  /** Where KEDA asks for the saturation signal. @default 'http://prometheus-operated.monitoring.svc:9090' */
  readonly prometheusUrl?: string;
  /** What Prometheus and Grafana are told about the service. @default - where the autoscaler reads Prometheus, everything */
  readonly monitoring?: MonitoringOptions;
  /** Names of secrets of the namespace that hold the login of a registry. @default - nodes pull by their own rights */
  readonly imagePullSecrets?: string[];
  /** Priority class of the replicas. @default - the cluster's own default */
  readonly priorityClassName?: string;
  /**
   * Version of the cluster, as in '1.34': what is too new for it is refused while the program runs.
   * @default - not checked
   */
  readonly kubernetesVersion?: string;
}

/** Everything that the section `kubernetes` of a spec file may say. */
export interface KubernetesOptions extends KubernetesChoices {
  /** @default 'default' */
  readonly namespace?: string;
  /** Whether the namespace is made too, with Pod Security *restricted* enforced. @default false */
  readonly createNamespace?: boolean;
  /** Image of the server, best by digest. */
  readonly image?: string;
  /** URI of the model repository, where models name none of their own. */
  readonly modelRepository?: string;
  /** Label `cluster` of the saturation signal. @default 'kubernetes' */
  readonly clusterName?: string;
  /** Identity by which replicas read their models. @default - none */
  readonly identity?: Partial<IdentityBinding>;
  /** What starts the first replica where minReplicas is 0. @default - nothing */
  readonly wake?: WakeOptions;
}

/** What starts a replica when there is none; exactly one of them. */
export interface WakeOptions<S = string> {
  readonly interceptor?: InterceptorWake;
  readonly schedule?: ScheduleWake;
  readonly queue?: QueueWake<S>;
}

/**
 * Requests: the interceptor of KEDA's HTTP add-on stands in front, counts them, and answers 503 with Retry-After while the
 * first replica starts. Clients must call the interceptor, by one of `hosts`.
 */
export interface InterceptorWake {
  /** Values of the Host header by which the interceptor knows this service. */
  readonly hosts: string[];
  /** Namespace of the add-on. @default 'keda' */
  readonly namespace?: string;
  /** Requests under way that one replica is meant to have. @default - one run's rows */
  readonly concurrency?: number;
}

/** The time of day: replicas are there from `start` to `end`. */
export interface ScheduleWake {
  readonly windows: WakeWindow[];
  /** Of the IANA list, as in 'Europe/Berlin'. @default 'UTC' */
  readonly timezone?: string;
}

export interface WakeWindow {
  /** Five fields of cron, as in '0 8 * * 1-5'. */
  readonly start: string;
  /** Five fields of cron. */
  readonly end: string;
  /** Replicas within it. @default 1 */
  readonly replicas?: number;
}

/** Messages that wait: of any queue that KEDA has a scaler for. */
export interface QueueWake<S = string> {
  /** KEDA's name of the scaler: 'aws-sqs-queue', 'gcp-pubsub', 'azure-servicebus', 'kafka', 'rabbitmq' … */
  readonly scaler: string;
  /** What that scaler is told, as KEDA's pages list it: all text. */
  readonly metadata: { readonly [key: string]: string | S };
  /** Name of a TriggerAuthentication of the namespace. @default - the operator's own rights */
  readonly authentication?: string;
}

/** What Prometheus and Grafana are told about a service, by the Prometheus Operator and Grafana's sidecar. */
export interface MonitoringOptions {
  /** @default true - say false where a cluster has no Prometheus Operator */
  readonly enabled?: boolean;
  /**
   * Labels by which the Prometheus Operator picks monitors and rules up.
   * @default - { release: 'kube-prometheus-stack' }
   */
  readonly labels?: { readonly [key: string]: string };
  /** Whether alarms are declared. @default - in production */
  readonly alerts?: boolean;
  /** Whether a Grafana dashboard is declared, as a config map that Grafana's sidecar picks up. @default - in production */
  readonly dashboard?: boolean;
  /** Labels by which Grafana's sidecar picks the dashboard up. @default - { grafana_dashboard: '1' } */
  readonly dashboardLabels?: { readonly [key: string]: string };
}

/** What a placement tells the plan. */
export function machinesOf(placement: Placement | undefined): MachineFacts | undefined {
  if (placement === undefined) return undefined;
  const { instanceTypes, maxGpus, sharesPerGpu, gpuMemoryMiB } = placement;
  return {
    ...(instanceTypes === undefined ? {} : { instanceTypes }),
    ...(maxGpus === undefined ? {} : { maxGpus }),
    ...(sharesPerGpu === undefined ? {} : { sharesPerGpu }),
    ...(gpuMemoryMiB === undefined ? {} : { gpuMemoryMiB }),
  };
}
