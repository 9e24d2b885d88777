import type * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import type { KserveObjects } from '../runtime/spec';
import { declareObject } from './declare-object';

/**
 * Declares what KServe makes a service of, and the objects of a canary beside it. The provider waits until KServe says that
 * the InferenceService is ready.
 */
export function declareKserve(
  name: string,
  objects: KserveObjects<pulumi.Output<string>>,
  opts: Omit<pulumi.CustomResourceOptions, 'dependsOn'> & { readonly dependsOn: readonly pulumi.Resource[] },
): k8s.apiextensions.CustomResource {
  const { customTimeouts: _, ...rest } = opts;
  const plain = { ...rest, dependsOn: [...opts.dependsOn] };
  const runtime = declareObject(name, objects.servingRuntime, plain);
  // Its predictor is part of the one InferenceService; what selects its pods has objects of its own.
  const ofCanary = Object.values(objects.canary ?? {}).map((object) => declareObject(`${name}-canary`, object, plain));
  const service = declareObject(name, objects.inferenceService, {
    ...opts,
    dependsOn: [...opts.dependsOn, runtime, ...ofCanary],
  });
  return service as k8s.apiextensions.CustomResource;
}
