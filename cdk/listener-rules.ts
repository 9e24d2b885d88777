import type { CfnResource } from 'aws-cdk-lib';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import { SpecError } from '../runtime/spec';
import { claim } from './app-registry';
import type { Auth } from './auth';
import type { ISharedListener } from './shared-listener';

type TargetGroups = readonly elbv2.ApplicationTargetGroup[];

/** gRPC's content types; the protocol is told apart by nothing else. */
const GRPC_CONTENT_TYPES = ['application/grpc', 'application/grpc+*'];

/** Every path: what the rule of a listener of the service's own is for. */
export const ANY_PATH = elbv2.ListenerCondition.pathPatterns(['/*']);

export const GRPC_CALL = elbv2.ListenerCondition.httpHeader('content-type', GRPC_CONTENT_TYPES);

/**
 * Forwards to the first group. The second, where there is one, is a rollout's: ECS moves the weight there and back. It is
 * named from the beginning, so that the load balancer knows it.
 */
export function forwardTo([primary, alternate]: TargetGroups, auth?: Auth): elbv2.ListenerAction {
  const forward =
    alternate === undefined
      ? elbv2.ListenerAction.forward([primary!])
      : elbv2.ListenerAction.weightedForward([
          { targetGroup: primary!, weight: 100 },
          { targetGroup: alternate, weight: 0 },
        ]);
  return auth?.before(forward) ?? forward;
}

/**
 * A rule made of constants alone. A stack update that changes a rule while traffic is being shifted would reset the
 * weights, so nothing that comes and goes with a deployment may be in it.
 */
export function createRule(
  scope: Construct,
  id: string,
  {
    listener,
    priority,
    conditions,
    groups,
    auth,
  }: {
    readonly listener: elbv2.IApplicationListener;
    readonly priority: number;
    readonly conditions: readonly elbv2.ListenerCondition[];
    readonly groups: TargetGroups;
    readonly auth?: Auth;
  },
): elbv2.ApplicationListenerRule {
  const rule = new elbv2.ApplicationListenerRule(scope, id, {
    listener,
    priority,
    conditions: [...conditions],
    action: forwardTo(groups, auth),
  });
  auth?.complete(rule.node.defaultChild as CfnResource, 'Actions');
  return rule;
}

/** Takes priorities of a shared listener. Two rules of one priority would fail at AWS, in the second stack to be deployed. */
export function claimPriorities(scope: Construct, listener: ISharedListener, priorities: readonly number[]): void {
  for (const priority of priorities) {
    const taken = claim(scope, 'listenerPriority', `${listener.key}\n${priority}`);
    if (taken === undefined) continue;
    const { message } = new SpecError(
      'PRIORITY_TAKEN',
      'priority',
      `${priority} is that of '${taken.node.path}' on the same listener; give one of them another`,
    );
    scope.node.addValidation({ validate: () => [message] });
  }
}
