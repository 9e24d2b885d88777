import { Stack } from 'aws-cdk-lib';
import { CfnPodIdentityAssociation } from 'aws-cdk-lib/aws-eks';
import type * as eks from 'aws-cdk-lib/aws-eks-v2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { podIdentityBinding, podIdentityConditions, type IdentityBinding, type ModelLocation } from '../runtime/spec';
import type { Model } from './model';
import { bindModels } from './model-rights';

export interface PodIdentityInput {
  readonly cluster: eks.ICluster;
  readonly namespace: string;
  /** Of the pods. */
  readonly serviceAccountName: string;
  /** What they may read, and nothing else. */
  readonly models: readonly Model[];
}

export interface PodIdentityParts {
  readonly role: iam.Role;
  readonly association: CfnPodIdentityAssociation;
  readonly locations: Readonly<Record<string, ModelLocation<string>>>;
  /** For the objects of the service. */
  readonly binding: IdentityBinding;
}

/**
 * The right of one service's pods to read their models, by EKS Pod Identity. The cluster needs the add-on
 * `eks-pod-identity-agent`, and nodes on EC2.
 */
export function createPodIdentity(scope: Construct, input: PodIdentityInput): PodIdentityParts {
  const { clusterName } = input.cluster;
  const role = new iam.Role(scope, 'Role', {
    assumedBy: new iam.SessionTagsPrincipal(
      new iam.ServicePrincipal('pods.eks.amazonaws.com').withConditions({
        StringEquals: podIdentityConditions(clusterName, input.namespace, input.serviceAccountName),
      }),
    ),
  });
  const { locations, policy } = bindModels(scope, input.models, role);
  const association = new CfnPodIdentityAssociation(scope, 'PodIdentity', {
    clusterName,
    namespace: input.namespace,
    serviceAccount: input.serviceAccountName,
    roleArn: role.roleArn,
  });
  association.node.addDependency(policy);
  return { role, association, locations, binding: podIdentityBinding(Stack.of(scope).region) };
}
