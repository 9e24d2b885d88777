import { readFileSync } from 'node:fs';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';

// The very objects that twenty-services.ts was seen to declare, declared with @pulumi/kubernetes alone.
interface Declared {
  readonly type: string;
  readonly name: string;
  readonly inputs: object;
}
type ResourceClass = new (name: string, args: any) => pulumi.CustomResource;

const CLASSES: Readonly<Record<string, ResourceClass>> = {
  'kubernetes:core/v1:ServiceAccount': k8s.core.v1.ServiceAccount,
  'kubernetes:networking.k8s.io/v1:NetworkPolicy': k8s.networking.v1.NetworkPolicy,
  'kubernetes:apps/v1:Deployment': k8s.apps.v1.Deployment,
  'kubernetes:core/v1:Service': k8s.core.v1.Service,
  'kubernetes:policy/v1:PodDisruptionBudget': k8s.policy.v1.PodDisruptionBudget,
  'kubernetes:autoscaling/v2:HorizontalPodAutoscaler': k8s.autoscaling.v2.HorizontalPodAutoscaler,
};

const declared = JSON.parse(readFileSync(new pulumi.Config().require('declared'), 'utf8')) as Declared[];
for (const { type, name, inputs } of declared) new CLASSES[type]!(name, inputs);
