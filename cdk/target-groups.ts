import { Duration } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';

/** Where HTTP requests go: replicas that are ready, the least busy of them first. */
export function createHttpTargetGroup(
  scope: Construct,
  id: string,
  vpc: ec2.IVpc,
  { lifecycle, ports }: InferenceServicePlan,
): elbv2.ApplicationTargetGroup {
  const check = lifecycle.loadBalancerCheck;
  return new elbv2.ApplicationTargetGroup(scope, id, {
    vpc,
    targetType: elbv2.TargetType.IP,
    protocol: elbv2.ApplicationProtocol.HTTP,
    port: ports.http,
    // Inference times differ by orders of magnitude: whoever is busy gets no more. Slow start would exclude this.
    loadBalancingAlgorithmType: elbv2.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
    deregistrationDelay: Duration.seconds(lifecycle.deregistrationDelaySeconds),
    // Ready, not live: a replica that is still loading a model must stay out of the target group.
    healthCheck: {
      path: check.path,
      healthyHttpCodes: '200',
      interval: Duration.seconds(check.intervalSeconds),
      timeout: Duration.seconds(check.timeoutSeconds),
      healthyThresholdCount: check.healthyThreshold,
      unhealthyThresholdCount: check.unhealthyThreshold,
    },
  });
}
