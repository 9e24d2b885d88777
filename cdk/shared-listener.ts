import { Annotations, Duration, Stack, Token } from 'aws-cdk-lib';
import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import type { Exposure } from './exposure';
import { listenerProtocol } from './listener-protocol';

/** A listener that several services share, each behind rules of its own: a platform's, or one of another stack or app. */
export interface ISharedListener {
  /** The same text wherever the same listener is meant: priorities are taken once per key. */
  readonly key: string;
  readonly listener: elbv2.IApplicationListener;
  /** `app/<name>/<id>`: the dimension `LoadBalancer` of metrics. */
  readonly loadBalancerFullName: string;
  readonly loadBalancerDnsName: string;
  /** The load balancer's: replicas let it in, and it must be let out to them. */
  readonly securityGroup: ec2.ISecurityGroup;
  readonly port: number;
  readonly isTls: boolean;
  /** Whether the whole internet reaches it. */
  readonly isPublic: boolean;
  /**
   * How long the load balancer waits on a silent connection: every service behind it plans with this number, so that
   * replicas keep connections longer and answer sooner.
   */
  readonly idleTimeoutSeconds: number;
  /** Whether some action answers by itself, as the 404 of a default action does. */
  readonly hasNonForwardActions: boolean;
}

export interface SharedLoadBalancerProps {
  readonly vpc: ec2.IVpc;
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly idleTimeoutSeconds: number;
  readonly exposure: Exposure;
  /** undefined: the listener speaks plain HTTP on port 80 instead of TLS on port 443. */
  readonly certificate: acm.ICertificate | undefined;
  readonly accessLogsBucket: s3.IBucket | undefined;
}

/**
 * A load balancer whose one listener answers 404 until services add rules to it. Unless it is public, nobody may call it
 * until somebody is let in.
 */
export function createSharedLoadBalancer(
  scope: Construct,
  props: SharedLoadBalancerProps,
): { readonly loadBalancer: elbv2.ApplicationLoadBalancer; readonly listener: elbv2.ApplicationListener } {
  const { exposure } = props;
  const loadBalancer = new elbv2.ApplicationLoadBalancer(scope, 'LoadBalancer', {
    vpc: props.vpc,
    vpcSubnets: exposure.isPublic ? { subnetType: ec2.SubnetType.PUBLIC } : props.vpcSubnets,
    internetFacing: exposure.isPublic,
    idleTimeout: Duration.seconds(props.idleTimeoutSeconds),
    dropInvalidHeaderFields: true,
  });
  logAccess(loadBalancer, props.accessLogsBucket);
  const listener = loadBalancer.addListener('Listener', {
    ...listenerProtocol(props.certificate),
    // CDK would let the whole internet in without being asked.
    open: exposure.isPublic,
    // What no service asked for goes to no service.
    defaultAction: elbv2.ListenerAction.fixedResponse(404, {
      contentType: 'application/json',
      messageBody: '{"error":"no service of this platform has this path"}',
    }),
  });
  exposure.protect(scope, loadBalancer);
  return { loadBalancer, listener };
}

/** Access logs where somebody named a bucket for them, and a reason why there are none where nobody did. */
export function logAccess(loadBalancer: elbv2.ApplicationLoadBalancer, bucket: s3.IBucket | undefined): void {
  if (bucket === undefined) {
    acknowledge(loadBalancer, 'ELB2', 'who wants access logs names the bucket for them in accessLogsBucket');
    return;
  }
  if (!Token.isUnresolved(Stack.of(loadBalancer).region)) {
    loadBalancer.logAccessLogs(bucket);
    return;
  }
  Annotations.of(loadBalancer).addWarningV2(
    'slipway:access-logs-without-region',
    'nothing is logged: who may write access logs depends on the region, so give the stack one in env',
  );
}
