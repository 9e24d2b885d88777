import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import * as appscaling from 'aws-cdk-lib/aws-applicationautoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';

/** What is there in a number: machines of an endpoint, or copies of a component. */
export interface ScaledOnSageMaker {
  readonly plan: InferenceServicePlan;
  /** `endpoint/<name>/variant/<variant>` or `inference-component/<name>`, of a resource that exists by then. */
  readonly resourceId: string;
  readonly dimension: 'sagemaker:variant:DesiredInstanceCount' | 'sagemaker:inference-component:DesiredCopyCount';
}

export interface ConcurrencyScaling {
  readonly metric: appscaling.PredefinedMetric;
  /** Requests at once that each machine or copy shall have. */
  readonly target: number;
}

/** Keeps as many as hold the requests at once per machine or copy, looked at every ten seconds. */
export function scaleOnConcurrency(
  scope: Construct,
  scaled: ScaledOnSageMaker,
  { metric, target }: ConcurrencyScaling,
): appscaling.ScalableTarget {
  const scalable = createTarget(scope, scaled);
  scalable.scaleToTrackMetric('Concurrency', {
    predefinedMetric: metric,
    targetValue: target,
    ...cooldowns(scaled.plan),
  });
  return scalable;
}

/** Keeps as many machines as the waiting requests need, and none while there are none. */
export function scaleOnBacklog(
  scope: Construct,
  scaled: ScaledOnSageMaker,
  endpointName: string,
  requestsPerMachine: number,
): appscaling.ScalableTarget {
  const scalable = createTarget(scope, scaled);
  scalable.scaleToTrackMetric('Backlog', {
    customMetric: new cloudwatch.Metric({
      namespace: 'AWS/SageMaker',
      metricName: 'ApproximateBacklogSizePerInstance',
      dimensionsMap: { EndpointName: endpointName },
      period: Duration.minutes(1),
      statistic: 'Average',
    }),
    targetValue: requestsPerMachine,
    ...cooldowns(scaled.plan),
  });
  return scalable;
}

/** What SageMaker counts while requests come and nothing is there to take them. */
export const WITHOUT_CAPACITY = {
  endpoint: 'HasBacklogWithoutCapacity',
  component: 'NoCapacityInvocationFailures',
} as const;

/** Brings the first one. With none, there is nothing to divide the requests by, and tracking a target does nothing. */
export function wakeFromZero(
  scope: Construct,
  scalable: appscaling.ScalableTarget,
  plan: InferenceServicePlan,
  metric: cloudwatch.Metric,
): void {
  const first = new appscaling.StepScalingAction(scope, 'WakeAction', {
    scalingTarget: scalable,
    adjustmentType: appscaling.AdjustmentType.CHANGE_IN_CAPACITY,
    metricAggregationType: appscaling.MetricAggregationType.MAXIMUM,
    // Until it is ready it takes no request, and another one would only be started beside it.
    cooldown: Duration.seconds(plan.lifecycle.progressDeadlineSeconds),
  });
  first.addAdjustment({ adjustment: 1, lowerBound: 0 });
  const alarm = new cloudwatch.Alarm(scope, 'Wake', {
    metric,
    threshold: 1,
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: 1,
    treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    alarmDescription: `${plan.name}: requests come and nothing is there to take them`,
  });
  alarm.addAlarmAction({ bind: () => ({ alarmActionArn: first.scalingPolicyArn }) });
}

/** A batch that runs and one that waits, as full as the author wants replicas to be. */
export function defaultConcurrency({ models, scaling }: InferenceServicePlan): number {
  return 2 * models[0]!.maxBatchSize * scaling.targetSaturation;
}

function createTarget(scope: Construct, { plan, resourceId, dimension }: ScaledOnSageMaker): appscaling.ScalableTarget {
  return new appscaling.ScalableTarget(scope, 'ScalableTarget', {
    serviceNamespace: appscaling.ServiceNamespace.SAGEMAKER,
    scalableDimension: dimension,
    resourceId,
    minCapacity: plan.scaling.minReplicas,
    maxCapacity: plan.scaling.maxReplicas,
    // The role that Application Auto Scaling has for SageMaker; CDK would make one more that nobody uses.
    role: iam.Role.fromRoleArn(
      scope,
      'ScalingRole',
      Stack.of(scope).formatArn({
        service: 'iam',
        region: '',
        resource: 'role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com',
        resourceName: 'AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint',
        arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
      }),
    ),
  });
}

function cooldowns({ scaling }: InferenceServicePlan) {
  return {
    scaleOutCooldown: Duration.seconds(scaling.scaleOutCooldownSeconds),
    scaleInCooldown: Duration.seconds(scaling.scaleInCooldownSeconds),
  };
}
