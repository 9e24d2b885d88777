import { helmInstall } from '../../../pulumi/remedies';
import type { Checkup } from './checkup';
import type { ClusterFacts, LabelSelector, PrometheusFacts, ServiceNeeds } from './facts';

type Labels = Readonly<Record<string, string>>;

const APIS = {
  cpu: {
    name: 'v1beta1.metrics.k8s.io',
    of: 'CPU use',
    fix: 'helm install metrics-server metrics-server --repo https://kubernetes-sigs.github.io/metrics-server --namespace kube-system',
  },
  custom: {
    name: 'v1beta1.custom.metrics.k8s.io',
    of: 'saturation',
    fix: 'helm install prometheus-adapter prometheus-adapter --repo https://prometheus-community.github.io/helm-charts --namespace monitoring',
  },
  external: { name: 'v1beta1.external.metrics.k8s.io', of: 'saturation', fix: helmInstall('keda') },
} as const;

export function examineMonitoring(cluster: ClusterFacts, needs: ServiceNeeds | undefined): readonly Checkup[] {
  if (needs === undefined) return [];
  const { monitorLabels, ruleLabels } = needs;
  return [
    ...(monitorLabels === undefined ? [] : [selected(cluster, needs, MONITORS, monitorLabels)]),
    ...(ruleLabels === undefined ? [] : [selected(cluster, needs, RULES, ruleLabels)]),
    ...metricsApi(cluster, needs),
  ];
}

const MONITORS = {
  code: 'prometheus-monitors',
  kind: 'ServiceMonitor',
  consequence: 'nobody measures the service',
  objects: ({ serviceMonitorSelector }: PrometheusFacts) => serviceMonitorSelector,
  namespaces: ({ serviceMonitorNamespaceSelector }: PrometheusFacts) => serviceMonitorNamespaceSelector,
} as const;

const RULES = {
  code: 'prometheus-rules',
  kind: 'PrometheusRule',
  consequence: 'no alarm of the service ever rings',
  objects: ({ ruleSelector }: PrometheusFacts) => ruleSelector,
  namespaces: ({ ruleNamespaceSelector }: PrometheusFacts) => ruleNamespaceSelector,
} as const;

/** Whether some Prometheus picks up what the service declares. Nothing says so otherwise: it is just never scraped. */
function selected(
  { prometheuses, namespace }: ClusterFacts,
  needs: ServiceNeeds,
  { code, kind, consequence, objects, namespaces }: typeof MONITORS | typeof RULES,
  labels: Labels,
): Checkup {
  if (prometheuses.length === 0) {
    return {
      code,
      severity: 'error',
      what: `there is no Prometheus of the Prometheus Operator, so ${consequence}`,
      evidence: 'no object of kind Prometheus',
      fix: helmInstall('monitoring'),
    };
  }
  const labelsOfNamespace: Labels = { 'kubernetes.io/metadata.name': needs.namespace, ...namespace?.labels };
  const picks = prometheuses.filter((one) => {
    const where = namespaces(one);
    const isInReach = where === undefined ? one.namespace === needs.namespace : matches(where, labelsOfNamespace);
    return isInReach && matches(objects(one), labels);
  });
  const [first] = picks;
  if (first !== undefined) {
    return {
      code,
      severity: 'ok',
      what: `a Prometheus picks up the ${kind} of the service`,
      evidence: `${first.namespace}/${first.name}`,
    };
  }
  const [one] = prometheuses as [PrometheusFacts];
  const wanted = objects(one)?.matchLabels;
  return {
    code,
    severity: 'error',
    what: `no Prometheus picks up the ${kind} of the service, so ${consequence}`,
    evidence:
      `${one.namespace}/${one.name} selects ${shown(objects(one))} in ${namespaces(one) === undefined ? `namespace ${one.namespace}` : `namespaces with ${shown(namespaces(one))}`}, ` +
      `the ${kind} has ${Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(', ')} in ${needs.namespace}`,
    fix:
      wanted === undefined || Object.keys(wanted).length === 0
        ? `kubectl edit prometheus ${one.name} --namespace ${one.namespace}`
        : `kubernetes.monitoring.labels of the spec: ${JSON.stringify(wanted)}`,
  };
}

function metricsApi({ apiServices }: ClusterFacts, { metrics, name: service }: ServiceNeeds): readonly Checkup[] {
  if (metrics === undefined) return [];
  const { name, of, fix } = APIS[metrics];
  const api = apiServices.find((one) => one.name === name);
  // KEDA brings its own when it is installed; that it is not is said of its kinds already.
  if (metrics === 'external' && api === undefined) return [];
  if (api === undefined) {
    return [
      {
        code: 'metrics-api',
        severity: 'error',
        what: `nobody tells the autoscaler of '${service}' about ${of}, so it keeps the replicas it has`,
        evidence: `there is no ${name}`,
        fix,
      },
    ];
  }
  if (!api.isAvailable) {
    return [
      {
        code: 'metrics-api',
        severity: 'error',
        what: `what would tell the autoscaler of '${service}' about ${of} does not answer`,
        evidence: `${name}, ${api.service}: ${api.message}`,
        fix: `kubectl describe apiservice ${name}`,
      },
    ];
  }
  if (metrics === 'external' && !/keda/.test(api.service)) {
    return [
      {
        code: 'metrics-api',
        severity: 'error',
        what: 'external metrics of the cluster are not answered by KEDA, and a cluster has one that answers',
        evidence: `${name} is ${api.service}`,
        fix: `scale by prometheus-adapter instead (metricsFrom), or give ${name} to KEDA`,
      },
    ];
  }
  return [
    {
      code: 'metrics-api',
      severity: 'ok',
      what: `the autoscaler can read ${of}`,
      evidence: `${name} is ${api.service}`,
    },
  ];
}

/** As Kubernetes does it: no selector selects nothing, an empty one everything. */
export function matches(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (selector === undefined) return false;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const has = Object.hasOwn(labels, key);
      switch (operator) {
        case 'In':
          return has && values.includes(labels[key]!);
        case 'NotIn':
          return !has || !values.includes(labels[key]!);
        case 'Exists':
          return has;
        case 'DoesNotExist':
          return !has;
        default:
          return false;
      }
    })
  );
}

function shown(selector: LabelSelector | undefined): string {
  if (selector === undefined) return 'nothing';
  const { matchLabels = {}, matchExpressions = [] } = selector;
  const parts = [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values = [] }) => `${key} ${operator} ${values.join('|')}`.trim()),
  ];
  return parts.length === 0 ? 'everything' : parts.join(', ');
}
