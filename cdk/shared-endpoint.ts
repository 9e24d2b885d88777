import { Annotations } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import { warnWithoutAuth } from './exposure';
import { claimPriorities, createRule, GRPC_CALL } from './listener-rules';
import type { Endpoint, EndpointInput, EndpointProps } from './service-endpoint';
import type { ServiceTargets } from './service-parts';
import type { ISharedListener } from './shared-listener';
import { createTargetGroups } from './target-groups';
import { attachTargets } from './traffic-shift';

/** Rules on a listener that other services share. */
export function createSharedEndpoint(scope: Construct, input: EndpointInput, shared: ISharedListener): Endpoint {
  const { plan, rollout, props } = input;
  const { auth, grpc = false } = props;
  const priority = props.priority!;
  const targets: ServiceTargets = {
    loadBalancerFullName: shared.loadBalancerFullName,
    isShared: true,
    ...createTargetGroups(scope, { ...input, grpc, shifts: rollout.shifts }),
  };
  // gRPC first: its calls match the other rule too.
  const priorities = grpc ? { grpc: priority, http: priority + 1 } : { http: priority };
  claimPriorities(scope, shared, Object.values(priorities));
  const rule = (
    id: string,
    at: number,
    groups: typeof targets.http,
    conditions: readonly elbv2.ListenerCondition[],
  ): elbv2.ApplicationListenerRule =>
    createRule(scope, id, {
      listener: shared.listener,
      priority: at,
      conditions,
      groups,
      ...(auth === undefined ? {} : { auth }),
    });
  const rules = {
    ...(grpc ? { grpc: { production: rule('GrpcRule', priority, targets.grpc, [...hostOf(props), GRPC_CALL]) } } : {}),
    http: {
      production: rule('ProductionRule', priorities.http, targets.http, [...hostOf(props), ...pathOf(props)]),
    },
  };
  auth?.connect(shared.listener.connections);
  if (shared.isPublic && auth === undefined) warnWithoutAuth(scope);
  warnOfOtherActions(scope, input, shared);
  return {
    listener: shared.listener,
    targets,
    url: urlOf(shared, props),
    clients: new ec2.Connections({
      securityGroups: [shared.securityGroup],
      defaultPort: ec2.Port.tcp(shared.port),
    }),
    attach: (service, containerName) => attachTargets(scope, service, containerName, plan, targets, rules),
  };
}

function hostOf({ hostName }: EndpointProps): readonly elbv2.ListenerCondition[] {
  return hostName === undefined ? [] : [elbv2.ListenerCondition.hostHeaders([hostName])];
}

function pathOf({ path }: EndpointProps): readonly elbv2.ListenerCondition[] {
  return path === undefined ? [] : [elbv2.ListenerCondition.pathPatterns([path])];
}

function urlOf({ isTls, port, loadBalancerDnsName }: ISharedListener, { hostName }: EndpointProps): string {
  const isUsual = port === (isTls ? 443 : 80);
  return `${isTls ? 'https' : 'http'}://${hostName ?? loadBalancerDnsName}${isUsual ? '' : `:${port}`}`;
}

// Without an answer for what nobody asked for, a shared listener would be open for everything, so this is allowed.
function warnOfOtherActions(scope: Construct, { rollout, props }: EndpointInput, shared: ISharedListener): void {
  if (!rollout.shifts || !shared.hasNonForwardActions || (props.acceptUnverifiedListenerActions ?? false)) return;
  Annotations.of(scope).addWarningV2(
    'slipway:shared-listener-actions',
    'the shared listener answers some requests by itself, and AWS used to fail deployments that shift traffic on such a listener: try it in an account of yours, then say acceptUnverifiedListenerActions: true',
  );
}
