import { stringify } from 'yaml';
import type { InferenceServicePlan } from '../spec/inference-service-plan';
import { NO_IDENTITY } from '../spec/kubernetes/identity-binding';
import { renderKubernetesObjects } from '../spec/kubernetes/render';
import { PLAIN } from '../spec/late-bound';
import { versionPrefix } from '../spec/model-repository';
import { UsageError } from './cli-error';

export interface RenderOptions {
  readonly image: string;
  /** URI of the model repository, as it was given to `slipway model publish`. */
  readonly modelRepository: string;
  readonly namespace: string;
  readonly clusterName: string;
  /** `key=value` each. */
  readonly serviceAccountAnnotations: readonly string[];
  /** Empty: the service's own namespace. */
  readonly clientNamespaces: readonly string[];
  readonly monitoringNamespace: string | undefined;
  readonly prometheusUrl: string | undefined;
}

/** The Kubernetes objects of a service as one YAML stream, in the order in which they are applied. */
export function renderYaml(plan: InferenceServicePlan, options: RenderOptions): string {
  const { clientNamespaces, monitoringNamespace, prometheusUrl } = options;
  const objects = renderKubernetesObjects<string>(plan, {
    ...PLAIN,
    image: options.image,
    namespace: options.namespace,
    clusterName: options.clusterName,
    models: modelFolders(plan, options.modelRepository),
    identity: { ...NO_IDENTITY, serviceAccountAnnotations: readAnnotations(options.serviceAccountAnnotations) },
    ...(clientNamespaces.length === 0 ? {} : { clientNamespaces }),
    ...(monitoringNamespace === undefined ? {} : { monitoringNamespace }),
    ...(prometheusUrl === undefined ? {} : { prometheusUrl }),
  });
  return Object.values(objects)
    .map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }))
    .join('---\n')
    .trimEnd();
}

/** Where each model of a plan lies in one model repository. */
function modelFolders(plan: InferenceServicePlan, modelRepository: string): Record<string, { folder: string }> {
  const root = modelRepository.endsWith('/') ? modelRepository : `${modelRepository}/`;
  return Object.fromEntries(
    plan.models.map(({ name, version }) => [name, { folder: `${root}${versionPrefix(name, version)}` }]),
  );
}

function readAnnotations(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`--service-account-annotation must be key=value, got '${pair}'`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
