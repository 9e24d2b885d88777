import { CONTAINER_USER, LABELS } from '../endpoints';
import type { InferenceServicePlan } from '../inference-service-plan';
import { namespace } from './network-policy';
import type { NetworkPolicyPeer, ObjectMetadata, ServiceAccountObject } from './objects';
import { KUBERNETES_DEFAULTS, type KubernetesRefs } from './refs';
import type { CanaryPlan, RoutePlan } from './traffic';
import type { VerdictRules } from './verdict-rules';
import { containerSecurity, podSecurity } from './pod-security';

/** What judges a canary, in the order in which it is applied. Only this pod of a service has a token of the API server. */
export interface VerdictObjects<S> {
  readonly serviceAccount: ServiceAccountObject<S>;
  readonly role: RoleObject<S>;
  readonly roleBinding: RoleBindingObject<S>;
  readonly networkPolicy: VerdictPolicyObject<S>;
  readonly job: JobObject<S>;
}

export interface RoleObject<S> {
  apiVersion: 'rbac.authorization.k8s.io/v1';
  kind: 'Role';
  metadata: ObjectMetadata<S>;
  rules: { apiGroups: string[]; resources: string[]; resourceNames: string[]; verbs: string[] }[];
}

export interface RoleBindingObject<S> {
  apiVersion: 'rbac.authorization.k8s.io/v1';
  kind: 'RoleBinding';
  metadata: ObjectMetadata<S>;
  roleRef: { apiGroup: string; kind: 'Role'; name: string };
  subjects: { kind: 'ServiceAccount'; name: string; namespace: string | S }[];
}

export interface VerdictPolicyObject<S> {
  apiVersion: 'networking.k8s.io/v1';
  kind: 'NetworkPolicy';
  metadata: ObjectMetadata<S>;
  spec: {
    podSelector: { matchLabels: Record<string, string> };
    policyTypes: ['Ingress', 'Egress'];
    egress: { to?: NetworkPolicyPeer[]; ports?: { protocol: 'TCP' | 'UDP'; port: number }[] }[];
  };
}

export interface JobObject<S> {
  apiVersion: 'batch/v1';
  kind: 'Job';
  metadata: Omit<ObjectMetadata<S>, 'name'> & { name: string | S };
  spec: {
    backoffLimit: number;
    activeDeadlineSeconds: number;
    podFailurePolicy: { rules: Record<string, unknown>[] };
    template: {
      metadata: { labels: Record<string, string> };
      spec: Record<string, unknown>;
    };
  };
}

/** What a judge may take beyond the bake time: a node for its pod, its image, and Prometheus being away for a while. */
export const VERDICT_MARGIN_SECONDS = 600;
/** Where API servers listen, seen from behind their Service: managed ones on 443, kubeadm's on 6443. */
const API_SERVER_PORTS = [443, 6443];

/**
 * @param image of the stable track: a canary's own must not judge it.
 * @param revision of the canary. It is part of the Job's name, so that another canary, or another share, is judged anew.
 */
export function renderVerdict<S>(
  stable: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  route: RoutePlan,
  canary: CanaryPlan & { readonly verdict: VerdictRules },
  revision: string | S,
): VerdictObjects<S> {
  const name = `${stable.name}-verdict`;
  const selector = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': 'verdict' };
  const metadata: ObjectMetadata<S> = {
    name,
    namespace: refs.namespace,
    labels: { ...selector, 'app.kubernetes.io/part-of': 'slipway' },
  };
  const prometheusUrl = refs.prometheusUrl ?? KUBERNETES_DEFAULTS.prometheusUrl;
  return {
    serviceAccount: { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
    role: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata,
      rules: [
        {
          apiGroups: ['gateway.networking.k8s.io'],
          resources: route.grpcHostnames.length === 0 ? ['httproutes'] : ['httproutes', 'grpcroutes'],
          resourceNames: [stable.name],
          verbs: ['get', 'patch'],
        },
      ],
    },
    roleBinding: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: refs.namespace }],
    },
    networkPolicy: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata,
      spec: {
        podSelector: { matchLabels: selector },
        // Nobody calls a judge.
        policyTypes: ['Ingress', 'Egress'],
        egress: [
          {
            to: [namespace('kube-system'), { ipBlock: { cidr: '169.254.20.10/32' } }],
            ports: [
              { protocol: 'UDP', port: 53 },
              { protocol: 'TCP', port: 53 },
            ],
          },
          // The API server is no pod, and where it is differs from cluster to cluster.
          { ports: API_SERVER_PORTS.map((port) => ({ protocol: 'TCP' as const, port })) },
          prometheusEgress(prometheusUrl),
        ],
      },
    },
    job: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        ...metadata,
        name: refs.concat([`${name}-`, revision]),
        annotations: { [LABELS.canary]: revision },
      },
      spec: {
        // For nodes that go away; a verdict is not asked for twice.
        backoffLimit: 3,
        activeDeadlineSeconds: canary.verdict.bakeSeconds + VERDICT_MARGIN_SECONDS,
        podFailurePolicy: {
          rules: [
            { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
            { action: 'FailJob', onExitCodes: { containerName: 'judge', operator: 'In', values: [1, 2] } },
          ],
        },
        template: {
          metadata: { labels: metadata.labels },
          spec: {
            restartPolicy: 'Never',
            serviceAccountName: name,
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            ...(refs.imagePullSecrets === undefined
              ? {}
              : { imagePullSecrets: refs.imagePullSecrets.map((secret) => ({ name: secret })) }),
            securityContext: podSecurity({ fsGroup: CONTAINER_USER }),
            containers: [judgeContainer(stable, refs, route, canary, revision, prometheusUrl)],
            volumes: [{ name: 'token', projected: { defaultMode: 0o440, sources: tokenSources() } }],
          },
        },
      },
    },
  };
}

function judgeContainer<S>(
  stable: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  route: RoutePlan,
  { plan, verdict }: CanaryPlan & { readonly verdict: VerdictRules },
  revision: string | S,
  prometheusUrl: string,
): Record<string, unknown> {
  return {
    name: 'judge',
    image: refs.image,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/app/cli.mjs', 'canary', 'judge'],
    args: [
      `--prometheus-url=${prometheusUrl}`,
      refs.concat(['--namespace=', refs.namespace]),
      `--stable=${stable.name}`,
      `--canary=${plan.name}`,
      `--bake-seconds=${verdict.bakeSeconds}`,
      `--min-requests=${verdict.minRequests}`,
      `--max-error-increase=${verdict.maxErrorIncrease}`,
      `--max-latency-ratio=${verdict.maxLatencyRatio}`,
      `--http-route=${stable.name}`,
      ...(route.grpcHostnames.length === 0 ? [] : [`--grpc-route=${stable.name}`]),
      refs.concat(['--revision=', revision]),
    ],
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
    // The sentence is then what `kubectl describe` and the deployment's error show.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: containerSecurity(),
    volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }],
  };
}

/** What a pod would get by itself, and this one gets by name: a token that ends within the hour, and whom to trust. */
function tokenSources(): Record<string, unknown>[] {
  return [
    { serviceAccountToken: { path: 'token', expirationSeconds: 3_600 } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  ];
}

/** A policy sees the port of Prometheus' pods, and its URL has that of its Service: within a namespace every port is let out. */
function prometheusEgress(url: string): VerdictPolicyObject<never>['spec']['egress'][number] {
  const [, scheme, host = '', port] = /^(https?):\/\/([^/:]+)(?::(\d+))?/.exec(url) ?? [];
  const [, itsNamespace] = /^[^.]+\.([^.]+)\.svc(?:\.|$)/.exec(host) ?? [];
  if (itsNamespace !== undefined) return { to: [namespace(itsNamespace)] };
  if (!host.includes('.')) return { to: [{ podSelector: {} }] };
  const standard = scheme === 'https' ? 443 : 80;
  return { ports: [{ protocol: 'TCP', port: port === undefined ? standard : Number(port) }] };
}
