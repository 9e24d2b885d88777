import { Duration } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import { GRPC_READY_PATH } from '../runtime/spec/endpoints';
import type { ServiceTargets } from './service-parts';

export interface TargetGroupsInput {
  readonly plan: InferenceServicePlan;
  readonly vpc: ec2.IVpc;
  readonly grpc: boolean;
  /** Whether a rollout moves traffic from one group to another. */
  readonly shifts: boolean;
}

/** Where requests go: replicas that are ready, the least busy of them first. */
export function createTargetGroups(scope: Construct, input: TargetGroupsInput): Pick<ServiceTargets, 'http' | 'grpc'> {
  const { grpc, shifts } = input;
  const pair = (kind: 'http' | 'grpc', id: string): elbv2.ApplicationTargetGroup[] => [
    createTargetGroup(scope, id, kind, input),
    ...(shifts ? [createTargetGroup(scope, `Alternate${id}`, kind, input)] : []),
  ];
  return { http: pair('http', 'TargetGroup'), grpc: grpc ? pair('grpc', 'GrpcTargetGroup') : [] };
}

function createTargetGroup(
  scope: Construct,
  id: string,
  kind: 'http' | 'grpc',
  { plan: { lifecycle, ports }, vpc }: TargetGroupsInput,
): elbv2.ApplicationTargetGroup {
  const check = lifecycle.loadBalancerCheck;
  return new elbv2.ApplicationTargetGroup(scope, id, {
    vpc,
    targetType: elbv2.TargetType.IP,
    protocol: elbv2.ApplicationProtocol.HTTP,
    ...(kind === 'grpc' ? { protocolVersion: elbv2.ApplicationProtocolVersion.GRPC } : {}),
    port: ports[kind],
    // Inference times differ by orders of magnitude: whoever is busy gets no more. Slow start would exclude this.
    loadBalancingAlgorithmType: elbv2.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
    deregistrationDelay: Duration.seconds(lifecycle.deregistrationDelaySeconds),
    // Ready, not live: a replica that is still loading a model must stay out of the target group.
    healthCheck: {
      ...(kind === 'grpc'
        ? { path: GRPC_READY_PATH, healthyGrpcCodes: '0' }
        : { path: check.path, healthyHttpCodes: '200' }),
      interval: Duration.seconds(check.intervalSeconds),
      timeout: Duration.seconds(check.timeoutSeconds),
      healthyThresholdCount: check.healthyThreshold,
      unhealthyThresholdCount: check.unhealthyThreshold,
    },
  });
}
