import { Duration, type CfnResource } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import type { Auth } from './auth';
import { Exposure, warnWithoutAuth } from './exposure';
import { listenerProtocol } from './listener-protocol';
import { ANY_PATH, createRule, forwardTo, GRPC_CALL } from './listener-rules';
import type { Endpoint, EndpointInput, TestEndpoint } from './service-endpoint';
import type { ServiceTargets } from './service-parts';
import { logAccess } from './shared-listener';
import { createTargetGroups } from './target-groups';
import { attachTargets, type RulesByKind } from './traffic-shift';

const TEST_PORTS = { tls: 9443, plaintext: 9080 } as const;
const PRIORITIES = { grpc: 1, http: 2 } as const;

/** A load balancer of the service's own. */
export function createOwnEndpoint(scope: Construct, input: EndpointInput): Endpoint {
  const { plan, rollout, props } = input;
  const { auth, certificate, hostName } = props;
  const exposure = props.exposure ?? Exposure.internal();
  const loadBalancer = createLoadBalancer(scope, input, exposure);
  const targets: ServiceTargets = {
    loadBalancerFullName: loadBalancer.loadBalancerFullName,
    isShared: false,
    ...createTargetGroups(scope, { ...input, grpc: props.grpc ?? false, shifts: rollout.shifts }),
  };
  const listener = loadBalancer.addListener('Listener', {
    ...listenerProtocol(certificate),
    // CDK would let the whole internet in without being asked.
    open: exposure.isPublic,
    defaultAction: forwardTo(targets.http.slice(0, 1), auth),
  });
  auth?.complete(listener.node.defaultChild as CfnResource, 'DefaultActions');
  auth?.connect(loadBalancer.connections);
  const rules = createRules(scope, listener, targets, auth, '');
  const test = rollout.smokeTest === undefined ? undefined : createTest(scope, loadBalancer, targets, props);
  if (exposure.isPublic && auth === undefined) warnWithoutAuth(scope);
  const webAcl = exposure.protect(scope, loadBalancer);
  const protocol = certificate === undefined ? 'http' : 'https';
  return {
    loadBalancer,
    listener,
    targets,
    url: `${protocol}://${hostName ?? loadBalancer.loadBalancerDnsName}`,
    clients: connectionsOf(loadBalancer, listener.port),
    ...(webAcl === undefined ? {} : { webAcl }),
    ...(test === undefined ? {} : { test: test.endpoint }),
    attach: (service, containerName) =>
      attachTargets(scope, service, containerName, plan, targets, withTests(rules, test?.rules)),
  };
}

function createLoadBalancer(
  scope: Construct,
  { plan, vpc, vpcSubnets, props }: EndpointInput,
  exposure: Exposure,
): elbv2.ApplicationLoadBalancer {
  const loadBalancer = new elbv2.ApplicationLoadBalancer(scope, 'LoadBalancer', {
    vpc,
    vpcSubnets: exposure.isPublic ? { subnetType: ec2.SubnetType.PUBLIC } : vpcSubnets,
    internetFacing: exposure.isPublic,
    idleTimeout: Duration.seconds(plan.lifecycle.idleTimeoutSeconds),
    dropInvalidHeaderFields: true,
  });
  logAccess(loadBalancer, props.accessLogsBucket);
  return loadBalancer;
}

// gRPC first, for any path is HTTP's. Without gRPC, and where no traffic is shifted, the listener's default action is all.
function createRules(
  scope: Construct,
  listener: elbv2.IApplicationListener,
  { http, grpc }: ServiceTargets,
  auth: Auth | undefined,
  prefix: '' | 'Test',
): Partial<Record<'http' | 'grpc', elbv2.ApplicationListenerRule>> {
  const rule = (
    kind: 'http' | 'grpc',
    id: string,
    groups: typeof http,
    condition: elbv2.ListenerCondition,
  ): elbv2.ApplicationListenerRule =>
    createRule(scope, id, {
      listener,
      priority: PRIORITIES[kind],
      conditions: [condition],
      groups,
      ...(auth === undefined ? {} : { auth }),
    });
  return {
    ...(grpc.length === 0 ? {} : { grpc: rule('grpc', `${prefix}GrpcRule`, grpc, GRPC_CALL) }),
    ...(http.length === 1 ? {} : { http: rule('http', prefix === '' ? 'ProductionRule' : 'TestRule', http, ANY_PATH) }),
  };
}

function createTest(
  scope: Construct,
  loadBalancer: elbv2.ApplicationLoadBalancer,
  targets: ServiceTargets,
  props: EndpointInput['props'],
): { readonly endpoint: TestEndpoint; readonly rules: ReturnType<typeof createRules> } {
  const port = props.certificate === undefined ? TEST_PORTS.plaintext : TEST_PORTS.tls;
  const listener = new elbv2.ApplicationListener(scope, 'TestListener', {
    loadBalancer,
    ...listenerProtocol(props.certificate),
    port,
    open: false,
    defaultAction: forwardTo(targets.http.slice(0, 1)),
  });
  const protocol = props.certificate === undefined ? 'http' : 'https';
  return {
    endpoint: {
      url: `${protocol}://${loadBalancer.loadBalancerDnsName}:${port}`,
      connections: connectionsOf(loadBalancer, port),
    },
    // A service whose callers must show who they are has no test listener: whoever came through it would not be asked.
    rules: createRules(scope, listener, targets, undefined, 'Test'),
  };
}

function withTests(
  production: ReturnType<typeof createRules>,
  test: ReturnType<typeof createRules> | undefined,
): RulesByKind {
  return Object.fromEntries(
    Object.entries(production).map(([kind, rule]) => [
      kind,
      { production: rule, ...(test === undefined ? {} : { test: test[kind as 'http' | 'grpc'] }) },
    ]),
  );
}

function connectionsOf(loadBalancer: elbv2.ApplicationLoadBalancer, port: number): ec2.Connections {
  return new ec2.Connections({
    securityGroups: loadBalancer.connections.securityGroups,
    defaultPort: ec2.Port.tcp(port),
  });
}
