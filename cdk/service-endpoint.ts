import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import type { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import type { Auth } from './auth';
import type { Exposure } from './exposure';
import { createOwnEndpoint } from './own-endpoint';
import type { Rollout } from './rollout';
import type { ServiceTargets } from './service-parts';
import { createSharedEndpoint } from './shared-endpoint';
import type { ISharedListener } from './shared-listener';

/** What the author of a service says about who may call it, and how. */
export interface EndpointProps {
  /**
   * Certificate of the service's own listener, which then speaks TLS on port 443. It is this or `plaintextInsideVpc`; a
   * shared listener has its own.
   */
  readonly certificate?: acm.ICertificate;
  /** Say true to have clients inside the VPC speak plain HTTP on port 80. @default false */
  readonly plaintextInsideVpc?: boolean;
  /** Who can reach the service's own load balancer. @default Exposure.internal() */
  readonly exposure?: Exposure;
  /**
   * A listener that other services share. `priority`, and `path` or `hostName`, say which requests are this service's.
   * @default - the platform's where there is one, else a load balancer of the service's own
   */
  readonly listener?: ISharedListener;
  /**
   * Place among the rules of a shared listener, 1 to 49999, where the lowest matching one wins. Each is taken once per
   * listener, and gRPC takes the next one as well.
   */
  readonly priority?: number;
  /**
   * Paths on a shared listener that are this service's: replicas see them as they are, so `/v2/models/digits*` is one and
   * `/digits/*` is not.
   * @default - every path of `hostName`
   */
  readonly path?: string;
  /**
   * Name by which clients call. On a shared listener only requests for it are this service's.
   * @default - the load balancer's own name; on a shared listener any
   */
  readonly hostName?: string;
  /** Whether gRPC is answered too, on the same port, which then must speak TLS. @default false */
  readonly grpc?: boolean;
  /** How callers show who they are. @default - whoever reaches the load balancer may call */
  readonly auth?: Auth;
  /**
   * Say true to shift traffic on a listener whose actions do more than forward, as `Auth.jwt` and `Auth.oidc` do. AWS
   * used to fail such deployments; nobody has tried it for this package.
   * @default false
   */
  readonly acceptUnverifiedListenerActions?: boolean;
  /** Where the service's own load balancer writes who called; the stack must name a region. @default - no access logs */
  readonly accessLogsBucket?: s3.IBucket;
}

export interface EndpointInput {
  readonly plan: InferenceServicePlan;
  readonly vpc: ec2.IVpc;
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly rollout: Rollout;
  /** The author's words; `listener` is the platform's where the author named a platform. */
  readonly props: EndpointProps;
}

/** Where clients send requests, and how they reach replicas. */
export interface Endpoint {
  /** undefined behind a shared listener. */
  readonly loadBalancer?: elbv2.ApplicationLoadBalancer;
  readonly listener: elbv2.IApplicationListener;
  readonly targets: ServiceTargets;
  readonly url: string;
  /** Clients are let in here, on the listener's port. */
  readonly clients: ec2.Connections;
  readonly webAcl?: wafv2.CfnWebACL;
  /** Where a new revision is asked before callers reach it: only with a smoke test. */
  readonly test?: TestEndpoint;
  /** Has the service's container answer what arrives. */
  attach(service: ecs.BaseService, containerName: string): void;
}

export interface TestEndpoint {
  readonly url: string;
  readonly connections: ec2.Connections;
}

/** A load balancer of the service's own, or rules on a listener that others share. */
export function createEndpoint(scope: Construct, input: EndpointInput): Endpoint {
  const { listener } = input.props;
  return listener === undefined ? createOwnEndpoint(scope, input) : createSharedEndpoint(scope, input, listener);
}
