import { Duration } from 'aws-cdk-lib';
import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import type { ServiceTargets } from './service-parts';
import { createHttpTargetGroup } from './target-groups';

/** What the author of a service says about who may call it, and how. */
export interface EndpointProps {
  /** Certificate of the listener, which then speaks TLS on port 443. It is this or `plaintextInsideVpc`. */
  readonly certificate?: acm.ICertificate;
  /** Say true to have clients inside the VPC speak plain HTTP on port 80. @default false */
  readonly plaintextInsideVpc?: boolean;
}

export interface EndpointInput {
  readonly plan: InferenceServicePlan;
  readonly vpc: ec2.IVpc;
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly props: EndpointProps;
}

/** Where clients send requests, and how they reach replicas. */
export interface Endpoint {
  readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  readonly listener: elbv2.ApplicationListener;
  readonly targets: ServiceTargets;
  readonly url: string;
  /** Clients are let in here, on the listener's port. */
  readonly clients: ec2.Connections;
  /** Has the service's container answer what arrives. */
  attach(service: ecs.BaseService, containerName: string): void;
}

/** A load balancer of the service's own. */
export function createEndpoint(scope: Construct, input: EndpointInput): Endpoint {
  const { plan, vpc, props } = input;
  const loadBalancer = createLoadBalancer(scope, input);
  const targetGroup = createHttpTargetGroup(scope, 'TargetGroup', vpc, plan);
  const listener = createListener(loadBalancer, targetGroup, props.certificate);
  return {
    loadBalancer,
    listener,
    targets: {
      loadBalancerFullName: loadBalancer.loadBalancerFullName,
      isShared: false,
      http: [targetGroup],
      grpc: [],
    },
    url: `${props.certificate === undefined ? 'http' : 'https'}://${loadBalancer.loadBalancerDnsName}`,
    clients: new ec2.Connections({
      securityGroups: loadBalancer.connections.securityGroups,
      defaultPort: ec2.Port.tcp(listener.port),
    }),
    attach: (service, containerName) =>
      targetGroup.addTarget(service.loadBalancerTarget({ containerName, containerPort: plan.ports.http })),
  };
}

function createLoadBalancer(scope: Construct, { plan, vpc, vpcSubnets }: EndpointInput): elbv2.ApplicationLoadBalancer {
  const loadBalancer = new elbv2.ApplicationLoadBalancer(scope, 'LoadBalancer', {
    vpc,
    vpcSubnets,
    internetFacing: false,
    idleTimeout: Duration.seconds(plan.lifecycle.idleTimeoutSeconds),
    dropInvalidHeaderFields: true,
  });
  acknowledge(
    loadBalancer,
    'ELB2',
    'access logs need a bucket in a known region: who wants them calls loadBalancer.logAccessLogs',
  );
  return loadBalancer;
}

function createListener(
  loadBalancer: elbv2.ApplicationLoadBalancer,
  targetGroup: elbv2.ApplicationTargetGroup,
  certificate: acm.ICertificate | undefined,
): elbv2.ApplicationListener {
  return loadBalancer.addListener('Listener', {
    ...(certificate === undefined
      ? { protocol: elbv2.ApplicationProtocol.HTTP, port: 80 }
      : {
          protocol: elbv2.ApplicationProtocol.HTTPS,
          port: 443,
          certificates: [certificate],
          sslPolicy: elbv2.SslPolicy.TLS13_RES,
        }),
    // CDK would let the whole internet in.
    open: false,
    defaultTargetGroups: [targetGroup],
  });
}
