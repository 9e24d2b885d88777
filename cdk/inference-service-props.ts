import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { InferenceServiceSpec } from '../runtime/spec';
import type { ICapacity } from './capacity';
import type { Model } from './model';
import type { IInferencePlatform } from './platform';
import type { Rollout } from './rollout';
import type { RuntimeImage } from './runtime-image';
import type { Scaling } from './scaling';
import type { ServiceConnectOptions } from './service-connect';
import type { EndpointProps } from './service-endpoint';

/** The words of the spec, flat, and what only this engine knows. */
export interface InferenceServiceProps
  extends Omit<InferenceServiceSpec, 'name' | 'models' | 'capacity' | 'instanceTypes' | 'metricsFrom'>, EndpointProps {
  /**
   * Name of the service in metrics and logs; each service of a cluster needs its own.
   * @default - the construct's id in lower case, with dashes
   */
  readonly serviceName?: string;
  /** Cluster that runs the service. It is this or `platform`. */
  readonly cluster?: ecs.ICluster;
  /**
   * Platform that the service joins: its cluster, its subnets, its preset, and, unless `loadBalancer` is false, its shared
   * listener, where `priority`, and `path` or `hostName`, are the service's.
   */
  readonly platform?: IInferencePlatform;
  /** Models that every replica loads before it is ready. */
  readonly models: readonly Model[];
  /** @default - built from this package when the app is deployed */
  readonly image?: RuntimeImage;
  /** Machines that replicas run on. @default - Fargate */
  readonly capacity?: ICapacity;

  /** Say false where callers come through `serviceConnect` alone. @default - requests come through a load balancer */
  readonly loadBalancer?: false;
  /** Lets services of one namespace call each other by name, without a load balancer. @default - they do not */
  readonly serviceConnect?: ServiceConnectOptions;

  /** What replicas are added and removed by. @default - the saturation that replicas publish */
  readonly scaling?: readonly Scaling[];
  /** How a new revision takes over. @default - rolling: replicas are replaced one after the other */
  readonly rollout?: Rollout;
  /** Whether alarms are made. @default - true in production and where a rollout watches them, else false */
  readonly alarms?: boolean;
  /** What every alarm does when it goes off. @default - nothing; the alarms can be seen */
  readonly alarmActions?: readonly cloudwatch.IAlarmAction[];
  /** Whether a dashboard is made; AWS charges for each but the first three of an account. @default - true in production */
  readonly dashboard?: boolean;
  /** What an hour of one replica costs, for the dashboard. @default - it shows no cost: nobody here knows your prices */
  readonly replicaHourPrice?: number;

  /** Role that replicas take; the right to read the models is added to it. @default - one of its own, without any other right */
  readonly taskRole?: iam.IRole;
  /** Role by which ECS pulls the image, reads secrets and writes the log. @default - one of its own */
  readonly executionRole?: iam.IRole;
  /** Security groups of the replicas; they must let out HTTPS. @default - one of its own, which lets out HTTPS alone */
  readonly securityGroups?: readonly ec2.ISecurityGroup[];
  /** Where replicas and an internal load balancer live. @default - the platform's subnets, else the private ones */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** Must be of the standard class: of others CloudWatch makes no metrics. @default - one of its own, kept in production */
  readonly logGroup?: logs.ILogGroup;
  /** How long the service's own log group keeps lines. @default RetentionDays.ONE_MONTH */
  readonly logRetention?: logs.RetentionDays;
  /** Key of the service's own log group; its policy must let CloudWatch Logs use it. @default - a key of AWS */
  readonly logKey?: kms.IKey;

  /** Variables for the server and its hooks, besides those that the plan writes. @default - none */
  readonly environment?: Readonly<Record<string, string>>;
  /** Variables whose values are secrets. @default - none */
  readonly secrets?: Readonly<Record<string, ecs.Secret>>;
}
