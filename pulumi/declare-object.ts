import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';

/** An object as the renderer makes it: complete, with late-bound values in it. */
interface RenderedObject {
  readonly apiVersion: string;
  readonly kind: string;
}

type Declare = new (name: string, object: never, opts?: pulumi.CustomResourceOptions) => pulumi.CustomResource;

/** What Kubernetes brings itself. Anything else is a custom resource. */
const BUILT_IN: Readonly<Record<string, Declare>> = {
  'v1 ConfigMap': k8s.core.v1.ConfigMap,
  'v1 Service': k8s.core.v1.Service,
  'v1 ServiceAccount': k8s.core.v1.ServiceAccount,
  'apps/v1 Deployment': k8s.apps.v1.Deployment,
  'autoscaling/v2 HorizontalPodAutoscaler': k8s.autoscaling.v2.HorizontalPodAutoscaler,
  'batch/v1 Job': k8s.batch.v1.Job,
  'networking.k8s.io/v1 NetworkPolicy': k8s.networking.v1.NetworkPolicy,
  'policy/v1 PodDisruptionBudget': k8s.policy.v1.PodDisruptionBudget,
  'rbac.authorization.k8s.io/v1 Role': k8s.rbac.v1.Role,
  'rbac.authorization.k8s.io/v1 RoleBinding': k8s.rbac.v1.RoleBinding,
  'resource.k8s.io/v1 ResourceClaimTemplate': k8s.resource.v1.ResourceClaimTemplate,
};

/** Declares a rendered object as the resource of its kind. */
export function declareObject(
  name: string,
  object: RenderedObject,
  opts: pulumi.CustomResourceOptions,
): pulumi.CustomResource {
  const Kind = BUILT_IN[`${object.apiVersion} ${object.kind}`] ?? k8s.apiextensions.CustomResource;
  // The renderer types what it makes more strictly than these classes do, whose types say so of each field by itself.
  return new Kind(name, object as never, opts);
}
