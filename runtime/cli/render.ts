import type { Command } from './command';

/** `slipway render`: the Kubernetes objects that Pulumi and CDK apply, as YAML. */
export const render: Command = {
  arguments: [{ name: 'spec file', description: 'an InferenceServiceSpec as YAML or JSON, as for slipway plan' }],
  options: {
    image: {
      type: 'string',
      value: 'image',
      required: true,
      description: 'image of the server, best by digest: the line that slipway image push prints',
    },
    'model-repository': {
      type: 'string',
      value: 'uri',
      required: true,
      description: 'where the pods fetch the models: the URI that was given to slipway model publish',
    },
    namespace: { type: 'string', value: 'name', description: 'namespace of every object (default)' },
    'cluster-name': {
      type: 'string',
      value: 'name',
      description: 'dimension `cluster` of the saturation signal (kubernetes)',
    },
    'service-account-annotation': {
      type: 'string',
      value: 'key=value',
      multiple: true,
      description: 'annotation that binds the pods to an identity of the cloud',
    },
    'client-namespace': {
      type: 'string',
      value: 'name',
      multiple: true,
      description: "namespace whose pods may call the service (the service's own)",
    },
    'monitoring-namespace': {
      type: 'string',
      value: 'name',
      description: 'namespace of the Prometheus that scrapes the pods (monitoring)',
    },
    'prometheus-url': {
      type: 'string',
      value: 'url',
      description: 'where KEDA asks for the saturation signal (http://prometheus-operated.monitoring.svc:9090)',
    },
  },
  run: async (given, terminal) => {
    const { planInferenceService } = await import('../spec/inference-service-plan.js');
    const { readSpecFile } = await import('./spec-file.js');
    const { renderYaml } = await import('./render-yaml.js');
    const plan = planInferenceService(readSpecFile(given.argument('spec file')));
    terminal.out(
      renderYaml(plan, {
        image: given.text('image')!,
        modelRepository: given.text('model-repository')!,
        namespace: given.text('namespace') ?? 'default',
        clusterName: given.text('cluster-name') ?? 'kubernetes',
        serviceAccountAnnotations: given.texts('service-account-annotation'),
        clientNamespaces: given.texts('client-namespace'),
        monitoringNamespace: given.text('monitoring-namespace'),
        prometheusUrl: given.text('prometheus-url'),
      }),
    );
  },
};
