import { Aws, Stack } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import type { ServiceTargets } from './service-parts';

/** Rules whose weights a rollout moves, of one kind of requests. */
export interface ShiftedRules {
  readonly production: elbv2.ApplicationListenerRule;
  readonly test?: elbv2.ApplicationListenerRule;
}

export type RulesByKind = Readonly<Partial<Record<'http' | 'grpc', ShiftedRules>>>;

const INFRASTRUCTURE_POLICY = 'AmazonECSInfrastructureRolePolicyForLoadBalancers';

/**
 * Has the container answer what the target groups get. Where there are two of a kind, each kind says which rule ECS shifts
 * and where to: a kind that did not would keep the old revision, and CDK would say nothing.
 */
export function attachTargets(
  scope: Construct,
  service: ecs.BaseService,
  containerName: string,
  { ports }: InferenceServicePlan,
  targets: ServiceTargets,
  rules: RulesByKind,
): void {
  const role = targets.http.length > 1 ? createInfrastructureRole(scope) : undefined;
  for (const kind of ['http', 'grpc'] as const) {
    const [primary, alternate] = targets[kind];
    if (primary === undefined) continue;
    primary.addTarget(
      service.loadBalancerTarget({
        containerName,
        containerPort: ports[kind],
        ...(alternate === undefined ? {} : { alternateTarget: alternateTarget(kind, alternate, rules[kind]!, role!) }),
      }),
    );
  }
}

function alternateTarget(
  kind: string,
  alternateTargetGroup: elbv2.ApplicationTargetGroup,
  { production, test }: ShiftedRules,
  role: iam.IRole,
): ecs.AlternateTarget {
  return new ecs.AlternateTarget(`Alternate-${kind}`, {
    alternateTargetGroup,
    productionListener: ecs.ListenerRuleConfiguration.applicationListenerRule(production),
    ...(test === undefined ? {} : { testListener: ecs.ListenerRuleConfiguration.applicationListenerRule(test) }),
    role,
  });
}

// One role for every kind, where CDK would make one for each. Rights are AWS's own policy: ECS says there what it needs.
function createInfrastructureRole(scope: Construct): iam.Role {
  const role = new iam.Role(scope, 'InfrastructureRole', {
    assumedBy: new iam.ServicePrincipal('ecs.amazonaws.com').withConditions({
      StringEquals: { 'aws:SourceAccount': Stack.of(scope).account },
    }),
    managedPolicies: [iam.ManagedPolicy.fromAwsManagedPolicyName(INFRASTRUCTURE_POLICY)],
    description: `ECS moves traffic between target groups in ${Aws.STACK_NAME}`,
  });
  acknowledge(
    role,
    `IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${INFRASTRUCTURE_POLICY}]`,
    'ECS itself takes the role, for services of this account alone, and AWS keeps the policy to what shifting traffic needs',
  );
  return role;
}
