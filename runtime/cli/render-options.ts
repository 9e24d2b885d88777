import { UsageError } from './cli-error';
import type { CommandOption, ParsedArguments } from './command';
import type { KubernetesSection } from './spec-file';

/** Flags by which a command line says what the section `kubernetes` of the spec file says otherwise; they win. */
export const KUBERNETES_OPTIONS: Readonly<Record<string, CommandOption>> = {
  image: {
    type: 'string',
    value: 'image',
    description: 'image of the server, best by digest: the line that slipway image push prints (kubernetes.image)',
  },
  'model-repository': {
    type: 'string',
    value: 'uri',
    description:
      'where the pods fetch the models: the URI that was given to slipway model publish (kubernetes.modelRepository)',
  },
  namespace: {
    type: 'string',
    value: 'name',
    description: 'namespace of every object (kubernetes.namespace, default)',
  },
  'cluster-name': {
    type: 'string',
    value: 'name',
    description: 'dimension `cluster` of the saturation signal (kubernetes.clusterName, kubernetes)',
  },
  'service-account-annotation': {
    type: 'string',
    value: 'key=value',
    multiple: true,
    description: 'annotation that binds the pods to an identity of the cloud (kubernetes.identity)',
  },
  'client-namespace': {
    type: 'string',
    value: 'name',
    multiple: true,
    description: "namespace whose pods may call the service (kubernetes.clientNamespaces, the service's own)",
  },
  'monitoring-namespace': {
    type: 'string',
    value: 'name',
    description: 'namespace of the Prometheus that scrapes the pods (kubernetes.monitoringNamespace, monitoring)',
  },
  'prometheus-url': {
    type: 'string',
    value: 'url',
    description:
      'where KEDA asks for the saturation signal (kubernetes.prometheusUrl, http://prometheus-operated.monitoring.svc:9090)',
  },
};

const SINGLE = {
  image: 'image',
  'model-repository': 'modelRepository',
  namespace: 'namespace',
  'cluster-name': 'clusterName',
  'monitoring-namespace': 'monitoringNamespace',
  'prometheus-url': 'prometheusUrl',
} as const;

/** @throws UsageError for an annotation that is no pair. */
export function withFlags(section: KubernetesSection, given: ParsedArguments): KubernetesSection {
  const single = Object.entries(SINGLE).flatMap(([flag, field]) => {
    const value = given.text(flag);
    return value === undefined ? [] : [[field, value]];
  });
  const annotations = given.texts('service-account-annotation').map(readAnnotation);
  const clientNamespaces = [...given.texts('client-namespace')];
  const known = section.identity?.serviceAccountAnnotations;
  return {
    ...section,
    ...(Object.fromEntries(single) as Partial<KubernetesSection>),
    ...(annotations.length === 0
      ? {}
      : {
          identity: {
            ...section.identity,
            serviceAccountAnnotations: { ...known, ...Object.fromEntries(annotations) },
          },
        }),
    ...(clientNamespaces.length === 0 ? {} : { clientNamespaces }),
  };
}

function readAnnotation(pair: string): readonly [string, string] {
  const at = pair.indexOf('=');
  if (at < 1) throw new UsageError(`--service-account-annotation must be key=value, got '${pair}'`);
  return [pair.slice(0, at), pair.slice(at + 1)];
}
