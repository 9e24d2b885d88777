import { Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type { IConstruct } from 'constructs';
import { SpecError, type Preset } from '../runtime/spec';
import { nearest } from '../runtime/spec/nearest';
import type { ICapacity } from './capacity';
import type { ISharedListener } from './shared-listener';

/** What a platform team made once and services join, in the same stack, in another, or in another app. */
export interface IInferencePlatform extends IConstruct {
  readonly platformName: string;
  /** The same text wherever the same platform is meant: names of services are taken once per key. */
  readonly key: string;
  /** `/slipway/<platformName>`: where the SSM parameters of the platform begin, and of what joins it. */
  readonly parameterPrefix: string;
  /** What services of the platform are unless they say otherwise. */
  readonly preset: Preset;
  readonly vpc: ec2.IVpc;
  /** Where replicas live: one subnet in each zone. */
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly cluster: ecs.ICluster;
  readonly sharedListener: ISharedListener;
  /**
   * Cloud Map namespace in which services of the platform call each other by name.
   * @default - none: callers come through the listener
   */
  readonly namespace?: string;
  /**
   * One of the platform's groups of machines.
   * @throws SpecError PLATFORM_GROUP_UNKNOWN naming the groups that exist.
   */
  capacity(name: string): ICapacity;
}

/** A group of machines as other apps know it. Its provider's name comes late, from a parameter. */
export type PlatformGroupFacts = Pick<ICapacity, 'kind' | 'instanceTypes' | 'maxMachines' | 'spot' | 'modelCache'>;

/**
 * Everything plain about a platform, as `platform.facts.json` holds it: what other apps must know while they synthesize.
 * Ids that only deployment knows lie in SSM parameters below `parameterPrefix`. Fields are added and never changed.
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
  /** Zones, and subnets for replicas: one in each. */
  readonly zones: number;
  /** `isolated`: AWS is reached through VPC endpoints alone. `private`: there is a way out. */
  readonly subnetType: 'isolated' | 'private';
  readonly listener: {
    readonly port: number;
    readonly tls: boolean;
    readonly exposure: 'internal' | 'public';
    readonly idleTimeoutSeconds: number;
  };
  /** @default - services do not call each other by name */
  readonly namespace?: string;
  readonly groups: Readonly<Record<string, PlatformGroupFacts>>;
}

/**
 * A platform's ids are known in one stack: handed to another they would become an export, which locks both stacks to
 * each other. So whoever takes a platform checks that it is of the own stack.
 * @throws SpecError CLUSTER_MISMATCH saying how another stack joins.
 */
export function assertSameStack(construct: IConstruct, platform: IInferencePlatform): void {
  const [own, others] = [Stack.of(construct), Stack.of(platform)];
  if (own === others) return;
  throw new SpecError(
    'CLUSTER_MISMATCH',
    'platform',
    `'${platform.node.path}' is of another stack than '${construct.node.path}'; join it there with InferencePlatform.fromFacts(this, 'Platform', facts)`,
  );
}

export function unknownGroup(platformName: string, name: string, known: readonly string[]): SpecError {
  const wayOut =
    known.length === 0
      ? 'it has none: add one with addGroup'
      : `did you mean '${nearest(name, known)}'? it has ${known.map((each) => `'${each}'`).join(', ')}`;
  return new SpecError('PLATFORM_GROUP_UNKNOWN', 'name', `'${platformName}' has no group '${name}'; ${wayOut}`);
}
