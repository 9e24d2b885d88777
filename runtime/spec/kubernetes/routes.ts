import type { InferenceServicePlan } from '../inference-service-plan';
import { LABELS } from '../endpoints';
import { objectMetadata } from './metadata';
import { namespace } from './network-policy';
import type { NetworkPolicyPeer, ObjectMetadata } from './objects';
import type { KubernetesRefs } from './refs';
import type { RoutePlan, TrafficPlan } from './traffic';

interface BackendReference {
  name: string;
  port: number;
  weight: number;
}

interface MirrorFilter {
  type: 'RequestMirror';
  requestMirror: { backendRef: { name: string; port: number }; percent: number };
}

interface RouteSpec {
  parentRefs: { name: string; namespace: string; sectionName?: string }[];
  hostnames: string[];
}

export interface HttpRouteObject<S> {
  apiVersion: 'gateway.networking.k8s.io/v1';
  kind: 'HTTPRoute';
  metadata: ObjectMetadata<S>;
  spec: RouteSpec & {
    rules: {
      matches: { path: { type: 'PathPrefix'; value: string } }[];
      filters?: MirrorFilter[];
      backendRefs: BackendReference[];
      timeouts: { request: string; backendRequest: string };
    }[];
  };
}

export interface GrpcRouteObject<S> {
  apiVersion: 'gateway.networking.k8s.io/v1';
  kind: 'GRPCRoute';
  metadata: ObjectMetadata<S>;
  spec: RouteSpec & { rules: { filters?: MirrorFilter[]; backendRefs: BackendReference[] }[] };
}

/**
 * Where a gateway sends the requests of a service: to each track its share, and copies to a shadow.
 * @param revision of the canary. It stands on the route, so that another canary is another route: its weights are written
 * again, even where a judge took the ones before away.
 */
export function renderRoutes<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  traffic: TrafficPlan & { readonly route: RoutePlan },
  revision: string | S | undefined,
): { httpRoute: HttpRouteObject<S>; grpcRoute?: GrpcRouteObject<S> } {
  const { route } = traffic;
  const metadata = {
    ...objectMetadata(plan, refs),
    ...(revision === undefined ? {} : { annotations: { [LABELS.canary]: revision } }),
  };
  const request = `${route.timeoutSeconds}s`;
  const httpRoute: HttpRouteObject<S> = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata,
    spec: {
      ...parent(route),
      hostnames: [...route.hostnames],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: route.path } }],
          ...backends(plan, traffic, plan.ports.http),
          timeouts: { request, backendRequest: request },
        },
      ],
    },
  };
  if (route.grpcHostnames.length === 0) return { httpRoute };
  return {
    httpRoute,
    grpcRoute: {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'GRPCRoute',
      metadata,
      spec: {
        ...parent(route),
        hostnames: [...route.grpcHostnames],
        // The standard channel has no timeouts for gRPC: the client's own deadline holds, and the server's.
        rules: [backends(plan, traffic, plan.ports.grpc)],
      },
    },
  };
}

/** Who passes on what a gateway lets in: its proxies, in pods or outside the cluster. */
export function gatewayPeers({ gateway }: RoutePlan): readonly NetworkPolicyPeer[] {
  const { proxyCidrs = [], proxyNamespace = proxyCidrs.length === 0 ? gateway.namespace : undefined } = gateway;
  return [
    ...(proxyNamespace === undefined ? [] : [namespace(proxyNamespace)]),
    ...proxyCidrs.map((cidr): NetworkPolicyPeer => ({ ipBlock: { cidr } })),
  ];
}

function parent({ gateway }: RoutePlan): Pick<RouteSpec, 'parentRefs'> {
  const { name, namespace, section } = gateway;
  return { parentRefs: [{ name, namespace, ...(section === undefined ? {} : { sectionName: section }) }] };
}

function backends(
  stable: InferenceServicePlan,
  { canary, shadow }: TrafficPlan,
  port: number,
): { filters?: MirrorFilter[]; backendRefs: BackendReference[] } {
  const filters: MirrorFilter[] | undefined = shadow && [
    {
      type: 'RequestMirror',
      requestMirror: { backendRef: { name: shadow.plan.name, port }, percent: shadow.percent },
    },
  ];
  return {
    ...(filters === undefined ? {} : { filters }),
    // Weights are written even where there is one track: what a field had before is no default that it falls back to.
    backendRefs: [
      { name: stable.name, port, weight: 100 - (canary?.percent ?? 0) },
      ...(canary === undefined ? [] : [{ name: canary.plan.name, port, weight: canary.percent }]),
    ],
  };
}
