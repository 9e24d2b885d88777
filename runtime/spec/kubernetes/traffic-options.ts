import type { VerdictOptions } from './verdict-rules';

/** What makes the objects of a service: plain Deployments, or KServe from an InferenceService of its own. */
export const ServingEngine = { Deployment: 'deployment', KServe: 'kserve' } as const;
export type ServingEngine = (typeof ServingEngine)[keyof typeof ServingEngine];

/** A Gateway of the cluster (Gateway API), and where its proxies are. */
export interface GatewayOptions {
  readonly name: string;
  readonly namespace: string;
  /** Name of one of its listeners. @default - every listener that lets the route in */
  readonly section?: string;
  /**
   * Namespace in which its proxies run, which the network policy lets in: 'envoy-gateway-system' for Envoy Gateway.
   * @default - the Gateway's own, where Istio and most others run them; none where `proxyCidrs` says where they are
   */
  readonly proxyNamespace?: string;
  /** Addresses of proxies that are no pods: the load balancer of a cloud. @default - none */
  readonly proxyCidrs?: string[];
}

/** How requests from outside the cluster come to a service. */
export interface RouteOptions {
  readonly gateway: GatewayOptions;
  /** Hosts of HTTP requests. */
  readonly hostnames: string[];
  /** Paths that are passed on, with everything below. @default '/v2': the Open Inference Protocol, and nothing else */
  readonly path?: string;
  /**
   * Hosts of gRPC requests: others than those of HTTP, for a listener takes one kind of route for one host.
   * @default - none, gRPC is for clients inside the cluster
   */
  readonly grpcHostnames?: string[];
  /** Whether the listener is without TLS, which makes the URL begin with http. @default false */
  readonly plaintext?: boolean;
}

/** A second set of replicas with other models, that takes a share of the requests of the route. */
export interface CanaryChoices {
  /** Its share of the requests, 0 to 100. */
  readonly weightPercent: number;
  /** How many replicas it has, whatever the load. @default - its share of the service's, at least 1, with an autoscaler */
  readonly replicas?: number;
  /** Judges the canary by what it answers, and takes it out when it is bad. @default - nobody does */
  readonly verdict?: VerdictOptions;
}

/** Replicas with other models that are sent copies of requests, and whose answers nobody gets. */
export interface ShadowChoices {
  /** Share of the requests that is copied, 1 to 100. */
  readonly percent: number;
  /** How many replicas it has, whatever the load. @default - its share of the service's, at least 1, with an autoscaler */
  readonly replicas?: number;
}
