import { Duration } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Construct, IDependable } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import type { ICapacity } from './capacity';
import type { Rollout } from './rollout';
import { warnWhenRolloutHasNoRoom } from './service-machines';
import { wayOutOf } from './way-out';

export interface EcsServiceInput {
  readonly plan: InferenceServicePlan;
  readonly cluster: ecs.ICluster;
  readonly capacity: ICapacity;
  readonly taskDefinition: ecs.TaskDefinition;
  readonly securityGroups: readonly ec2.ISecurityGroup[];
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly rollout: Rollout;
  /** Rights and the like without which no replica starts. */
  readonly needs: readonly IDependable[];
  /** Whether a load balancer looks at its replicas, and must give a new one the time to start. */
  readonly isBalanced: boolean;
  /** Alarms that roll a deployment back. @default - none */
  readonly rollbackAlarms?: readonly cloudwatch.IAlarm[];
  /** @default - the service has no name in a namespace */
  readonly serviceConnect?: ecs.ServiceConnectProps;
}

/** Replicas that ECS keeps running: on machines of the capacity, or on Fargate. */
export function createEcsService(scope: Construct, input: EcsServiceInput): ecs.Ec2Service | ecs.FargateService {
  const { plan, capacity } = input;
  const common = commonOptions(input);
  const service =
    capacity.kind === 'instances'
      ? new ecs.Ec2Service(scope, 'Service', {
          ...common,
          placementStrategies: [
            ecs.PlacementStrategy.spreadAcross(ecs.BuiltInAttributes.AVAILABILITY_ZONE),
            ecs.PlacementStrategy.packedByMemory(),
          ],
        })
      : new ecs.FargateService(scope, 'Service', { ...common, assignPublicIp: false });
  const cfnService = service.node.findChild('Service') as ecs.CfnService;
  const mustOutlive = capacity.joinCluster?.(input.cluster) ?? capacity.mustOutlive;
  if (mustOutlive !== undefined) cfnService.node.addDependency(mustOutlive);
  warnWhenRolloutHasNoRoom(scope, plan, capacity, input.rollout);
  // By default ECS gives up after half the replicas' worth of failures, at least three of them and up to two hundred:
  // with a slow model that is most of an hour. Three failed starts are enough to know.
  cfnService.addPropertyOverride('DeploymentConfiguration.DeploymentCircuitBreaker.ThresholdConfiguration', {
    Type: 'COUNT',
    Value: 3,
  });
  // cfn-lint up to 1.51 does not know this threshold yet. CDK has a service wait for the rules that it names as well.
  const ignored = ['E3002', ...(input.rollout.shifts ? ['W3005'] : [])];
  cfnService.addMetadata('cfn-lint', { config: { ignore_checks: ignored } });
  waitForWhatReplicasNeed(cfnService, input);
  return service;
}

// No desired count: the autoscaler owns it, and a template that states it would reset it with every deployment.
function commonOptions(input: EcsServiceInput) {
  const { plan, cluster, capacity, taskDefinition, securityGroups, vpcSubnets, rollout, isBalanced } = input;
  const { rollbackAlarms = [], serviceConnect } = input;
  const { gracePeriodSeconds } = plan.lifecycle.loadBalancerCheck;
  return {
    cluster,
    taskDefinition,
    securityGroups: [...securityGroups],
    vpcSubnets,
    ...(capacity.strategy.length === 0 ? {} : { capacityProviderStrategies: [...capacity.strategy] }),
    ...rollout.deploymentOptions(plan),
    ...(isBalanced ? { healthCheckGracePeriod: Duration.seconds(gracePeriodSeconds) } : {}),
    circuitBreaker: { enable: true, rollback: true },
    // An alarm that is on when a deployment begins is left aside by ECS, so a mend can be deployed while it burns.
    ...(rollbackAlarms.length === 0
      ? {}
      : {
          deploymentAlarms: {
            alarmNames: rollbackAlarms.map(({ alarmName }) => alarmName),
            behavior: ecs.AlarmBehavior.ROLLBACK_ON_ALARM,
          },
        }),
    ...(serviceConnect === undefined ? {} : { serviceConnectConfiguration: serviceConnect }),
    enableExecuteCommand: false,
    enableECSManagedTags: true,
    propagateTags: ecs.PropagatedTagSource.SERVICE,
    // ECS rebalances zones by starting a replica before it stops one, which a service without a spare cannot have.
    availabilityZoneRebalancing:
      plan.rollout.maxHealthyPercent > 100
        ? ecs.AvailabilityZoneRebalancing.ENABLED
        : ecs.AvailabilityZoneRebalancing.DISABLED,
  };
}

// What a replica needs to start must be there before the first one does and stay until the last one is gone: after three
// that cannot pull their image or fetch their model the rollout is given up. CloudFormation sees no order here by itself.
function waitForWhatReplicasNeed(cfnService: ecs.CfnService, input: EcsServiceInput): void {
  const { cluster, vpcSubnets, taskDefinition, needs } = input;
  const wayOut = wayOutOf(cfnService, cluster.vpc, vpcSubnets);
  cfnService.node.addDependency(...needs, taskDefinition.obtainExecutionRole(), wayOut);
}
