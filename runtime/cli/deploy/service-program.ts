import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import { InferenceService, type InferenceServiceArgs } from '../../../pulumi';
import { locateModel, type FileService } from '../service-objects';

/** The cluster that a service is deployed to. */
export interface DeployedTo {
  /** @default - KUBECONFIG, or ~/.kube/config */
  readonly kubeconfig?: string;
  readonly context: string;
}

/** Declares what a spec file says: the component that a program of one's own would declare. Runs inside a Pulumi program. */
export function declareService(
  { spec, kubernetes }: FileService,
  { kubeconfig, context }: DeployedTo,
): { readonly url: pulumi.Output<string> } {
  const provider = new k8s.Provider('cluster', {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    context,
    // Otherwise another path of the very same kubeconfig would replace the provider, and with it every object.
    clusterIdentifier: context,
  });
  const { url } = new InferenceService(spec.name, argumentsOf({ spec, kubernetes }), { provider });
  return { url };
}

function argumentsOf({ spec, kubernetes }: FileService): InferenceServiceArgs {
  const { name, machines: _machines, wakeSource: _wakeSource, instanceTypes, ...choices } = spec;
  const { modelRepository: _repository, image, namespace = 'default', canary, shadow, ...section } = kubernetes;
  const located = (models: typeof spec.models) => models.map((model) => locateModel(model, kubernetes));
  return {
    ...choices,
    ...section,
    serviceName: name,
    // It was rendered before, so that it is there.
    image: image!,
    namespace,
    models: located(spec.models),
    ...(instanceTypes === undefined ? {} : { instanceTypes: [...instanceTypes] }),
    ...(canary && { canary: { ...canary, models: located(canary.models) } }),
    ...(shadow && { shadow: { ...shadow, models: located(shadow.models) } }),
  };
}
