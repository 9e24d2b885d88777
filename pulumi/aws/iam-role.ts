import { getPartitionOutput } from '@pulumi/aws/getPartition';
import * as iam from '@pulumi/aws/iam';
import * as pulumi from '@pulumi/pulumi';
import { fitName } from '../fit-name';
import { tagged, type Tags } from '../tags';

export interface RoleOptions {
  readonly tags?: Tags | undefined;
  readonly permissionsBoundaryArn?: pulumi.Input<string> | undefined;
}

/** A role within the author's permissions boundary. */
export function createRole(
  name: string,
  assumeRolePolicy: pulumi.Input<string>,
  { tags, permissionsBoundaryArn }: RoleOptions,
  parent: pulumi.ComponentResource,
): iam.Role {
  const { named, once } = fitName('name', 64, name, parent);
  return new iam.Role(
    name,
    {
      ...named,
      assumeRolePolicy,
      ...(permissionsBoundaryArn === undefined ? {} : { permissionsBoundary: permissionsBoundaryArn }),
      ...tagged(tags),
    },
    { parent, ...once },
  );
}

/** A role that an AWS service assumes, and what AWS itself says that it needs there. */
export interface ServiceRole {
  readonly role: iam.Role;
  /** What must be there before the role is used. */
  readonly attachments: iam.RolePolicyAttachment[];
}

export function createServiceRole(
  name: string,
  service: string,
  managedPolicies: readonly string[],
  options: RoleOptions,
  parent: pulumi.ComponentResource,
): ServiceRole {
  const trust = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { Service: service }, Action: 'sts:AssumeRole' }],
  };
  const role = createRole(name, JSON.stringify(trust), options, parent);
  const { partition } = getPartitionOutput({}, { parent });
  const attachments = managedPolicies.map(
    (policy) =>
      new iam.RolePolicyAttachment(
        `${name}-${policy}`,
        { role: role.name, policyArn: pulumi.interpolate`arn:${partition}:iam::aws:policy/${policy}` },
        { parent },
      ),
  );
  return { role, attachments };
}

/** What EKS asks of every machine; pulling images is the only right beyond joining the cluster. */
const NODE_POLICIES = ['AmazonEKSWorkerNodePolicy', 'AmazonEKS_CNI_Policy', 'AmazonEC2ContainerRegistryPullOnly'];

export function createNodeRole(name: string, options: RoleOptions, parent: pulumi.ComponentResource): ServiceRole {
  return createServiceRole(name, 'ec2.amazonaws.com', NODE_POLICIES, options, parent);
}
