import { RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct, IConstruct } from 'constructs';
import {
  SpecError,
  type EngineServiceSpec,
  type InferenceServicePlan,
  type InferenceServiceSpec,
} from '../runtime/spec';
import { claim, ownerOf } from './app-registry';
import { FARGATE_CAPACITY, type ICapacity } from './capacity';
import { clusterKey } from './cluster-key';
import { kebabCase } from './kebab-case';
import type { Model } from './model';
import type { Scaling } from './scaling';
import { wakeSourceOf } from './service-scaling';

/** What every kind of service on ECS is told. */
export interface SpecProps extends Omit<
  InferenceServiceSpec,
  'name' | 'models' | 'capacity' | 'instanceTypes' | 'metricsFrom'
> {
  readonly serviceName?: string;
  readonly models: readonly Model[];
  readonly capacity?: ICapacity;
  readonly scaling?: readonly Scaling[];
}

/**
 * The author's words and what the things around the service add to them, as the planner takes them.
 * @param id The construct's, which names the service unless its author does.
 * @param more What this kind of service knows by itself.
 */
export function engineSpec(id: string, props: SpecProps, more: Partial<EngineServiceSpec> = {}): EngineServiceSpec {
  const { serviceName, models, capacity = FARGATE_CAPACITY, scaling = [], ...decisions } = props;
  const wakeSource = wakeSourceOf(scaling);
  return {
    ...decisions,
    name: serviceName ?? kebabCase(id),
    models: models.map((model) => model.spec),
    capacity: capacity.kind === 'fargate' ? 'fargate' : 'instances',
    ...(capacity.kind === 'fargate' ? {} : { instanceTypes: capacity.instanceTypes }),
    ...(wakeSource === undefined ? {} : { wakeSource }),
    ...more,
  };
}

export function createLogGroup(
  scope: Construct,
  { preset }: InferenceServicePlan,
  retention: logs.RetentionDays | undefined,
  encryptionKey?: kms.IKey,
): logs.LogGroup {
  return new logs.LogGroup(scope, 'Logs', {
    retention: retention ?? logs.RetentionDays.ONE_MONTH,
    ...(encryptionKey === undefined ? {} : { encryptionKey }),
    removalPolicy: preset === 'production' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });
}

/** Lets nobody in, and HTTPS out. */
export function createSecurityGroup(
  scope: Construct,
  props: { readonly vpc: ec2.IVpc; readonly description: string },
): ec2.SecurityGroup {
  const securityGroup = new ec2.SecurityGroup(scope, 'SecurityGroup', { ...props, allowAllOutbound: false });
  securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'models, image and logs');
  return securityGroup;
}

// Cluster and name are the dimensions of the scaling signal: two services of one name would scale on each other's load.
export function claimServiceName(service: Construct, cluster: ecs.ICluster, name: string): void {
  const taken = claim(service, 'service', serviceKey(cluster, name));
  if (taken === undefined) return;
  const error = new SpecError(
    'NAME_TAKEN',
    'serviceName',
    `'${name}' is the name of '${taken.node.path}' in the same cluster; give one of them another`,
  );
  service.node.addValidation({ validate: () => [error.message] });
}

/** The service of the app that has a name in a cluster, where it is made already. */
export function serviceNamed(scope: Construct, cluster: ecs.ICluster, name: string): IConstruct | undefined {
  return ownerOf(scope, 'service', serviceKey(cluster, name));
}

function serviceKey(cluster: ecs.ICluster, name: string): string {
  return `${clusterKey(cluster)}\n${name}`;
}
