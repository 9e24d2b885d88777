import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';

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
  /** Whether some action answers by itself, as the 404 of a default action does. */
  readonly hasNonForwardActions: boolean;
}
