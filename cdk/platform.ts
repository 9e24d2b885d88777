import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type { IConstruct } from 'constructs';
import type { Preset } from '../runtime/spec';
import type { ICapacity } from './capacity';
import type { ISharedListener } from './shared-listener';

/** What a platform team made once and services join, in the same stack, in another, or in another app. */
export interface IInferencePlatform extends IConstruct {
  readonly platformName: string;
  /** What services of the platform are unless they say otherwise. */
  readonly preset: Preset;
  readonly vpc: ec2.IVpc;
  /** Where replicas live. */
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly cluster: ecs.ICluster;
  readonly sharedListener: ISharedListener;
  /**
   * One of the platform's groups of machines.
   * @throws SpecError PLATFORM_GROUP_UNKNOWN naming the groups that exist.
   */
  capacity(name: string): ICapacity;
}

/** A group of machines as other apps know it. Its provider's name comes late, from a parameter. */
export type PlatformGroupFacts = Pick<ICapacity, 'kind' | 'instanceTypes' | 'maxMachines' | 'spot' | 'modelCachePath'>;

/**
 * Everything plain about a platform, as `platform.facts.json` holds it: what other apps must know while they synthesize.
 * Ids that only deployment knows lie in SSM parameters below `parameterPrefix`.
 */
export interface PlatformFacts {
  readonly schema: 'slipway.dev/platform-facts/v1';
  readonly platformName: string;
  readonly preset: Preset;
  /** @default - the platform's stack names none */
  readonly account?: string;
  /** @default - the platform's stack names none */
  readonly region?: string;
  /** `/slipway/<platformName>`. */
  readonly parameterPrefix: string;
  readonly zones: number;
  readonly subnets: number;
  readonly subnetType: 'isolated' | 'private';
  readonly listener: { readonly port: number; readonly tls: boolean; readonly exposure: 'internal' | 'public' };
  readonly groups: Readonly<Record<string, PlatformGroupFacts>>;
}
