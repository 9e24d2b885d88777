import { Annotations, Fn, Stack, Stage, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as ssm from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import { SpecError, type Preset } from '../runtime/spec';
import { ownerOf } from './app-registry';
import type { ICapacity } from './capacity';
import { setClusterKey } from './cluster-key';
import { unknownGroup, type IInferencePlatform, type PlatformFacts } from './platform';
import {
  capacityParameterName,
  platformKey,
  platformParameterName,
  readPlatformFacts,
  type PlatformParameter,
} from './platform-facts';
import type { ISharedListener } from './shared-listener';

/**
 * A platform of another stack or app: its structure comes from the facts, its ids from SSM parameters that
 * CloudFormation resolves with every deployment. A stack depends on the parameters that it uses, and on no others.
 */
export class ImportedPlatform extends Construct implements IInferencePlatform {
  readonly platformName: string;
  readonly key: string;
  readonly parameterPrefix: string;
  readonly preset: Preset;
  readonly namespace?: string;

  private readonly facts: PlatformFacts;
  private readonly made: { vpc?: ec2.IVpc; cluster?: ecs.ICluster; sharedListener?: ISharedListener } = {};

  constructor(scope: Construct, id: string, facts: string | PlatformFacts) {
    super(scope, id);
    this.facts = readPlatformFacts(facts);
    this.platformName = this.facts.platformName;
    this.parameterPrefix = this.facts.parameterPrefix;
    this.preset = this.facts.preset;
    if (this.facts.namespace !== undefined) this.namespace = this.facts.namespace;
    this.key = platformKey(this, this.facts);
    assertEnvironment(this, this.facts);
    this.waitForPlatform();
  }

  get vpc(): ec2.IVpc {
    return (this.made.vpc ??= this.importVpc());
  }

  get vpcSubnets(): ec2.SubnetSelection {
    return { subnets: this.facts.subnetType === 'isolated' ? this.vpc.isolatedSubnets : this.vpc.privateSubnets };
  }

  get cluster(): ecs.ICluster {
    return (this.made.cluster ??= setClusterKey(
      ecs.Cluster.fromClusterAttributes(this, 'Cluster', { clusterName: this.parameter('clusterName'), vpc: this.vpc }),
      this.key,
    ));
  }

  get sharedListener(): ISharedListener {
    return (this.made.sharedListener ??= this.importListener());
  }

  capacity(name: string): ICapacity {
    const { groups } = this.facts;
    if (!Object.hasOwn(groups, name)) throw unknownGroup(this.platformName, name, Object.keys(groups));
    const capacityProvider = ssm.StringParameter.valueForStringParameter(
      this,
      capacityParameterName(this.parameterPrefix, name),
    );
    return { ...groups[name]!, strategy: [{ capacityProvider, weight: 1 }] };
  }

  private importVpc(): ec2.IVpc {
    const { zones, subnetType } = this.facts;
    // The count is plain, so that there are as many subnets as the platform has, whatever they will be called.
    const parts = Fn.split(',', this.parameter('subnets'));
    const pick = (from: number): string[] => Array.from({ length: zones }, (_, i) => Fn.select(from + i, parts));
    const subnetIds = pick(0);
    const vpc = ec2.Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: this.parameter('vpcId'),
      availabilityZones: pick(zones),
      ...(subnetType === 'isolated' ? { isolatedSubnetIds: subnetIds } : { privateSubnetIds: subnetIds }),
    });
    // Routes are the platform's: nobody who joins it changes them.
    Annotations.of(vpc).acknowledgeWarning('@aws-cdk/aws-ec2:noSubnetRouteTableId');
    return vpc;
  }

  private importListener(): ISharedListener {
    const { port, tls, exposure, idleTimeoutSeconds } = this.facts.listener;
    // Ours lets out to nothing that nobody named. CDK would take an imported group to let out to everything, add no rule
    // to it, and no request would ever reach a replica.
    const securityGroup = ec2.SecurityGroup.fromSecurityGroupId(
      this,
      'LoadBalancerSecurityGroup',
      this.parameter('loadBalancerSecurityGroup'),
      { allowAllOutbound: false },
    );
    return {
      key: this.key,
      listener: elbv2.ApplicationListener.fromApplicationListenerAttributes(this, 'Listener', {
        listenerArn: this.parameter('listenerArn'),
        securityGroup,
        defaultPort: port,
      }),
      loadBalancerFullName: this.parameter('loadBalancerName'),
      loadBalancerDnsName: this.parameter('loadBalancerDns'),
      securityGroup,
      port,
      isTls: tls,
      isPublic: exposure === 'public',
      idleTimeoutSeconds,
      hasNonForwardActions: true,
    };
  }

  private parameter(parameter: PlatformParameter): string {
    return ssm.StringParameter.valueForStringParameter(this, platformParameterName(this.parameterPrefix, parameter));
  }

  // Within one app the order is known, and CDK can keep it. Between apps whoever deploys keeps it.
  private waitForPlatform(): void {
    const platform = ownerOf(this, 'platform', this.key);
    if (platform === undefined) return;
    const [own, others] = [Stack.of(this), Stack.of(platform)];
    if (own === others) {
      throw new SpecError(
        'PLATFORM_FACTS_INVALID',
        'facts',
        `'${platform.node.path}' is of this very stack, and its parameters are not there when the stack is created; use the platform itself`,
      );
    }
    if (Stage.of(own) === Stage.of(others)) own.addStackDependency(others, 'reads the parameters of the platform');
  }
}

function assertEnvironment(platform: ImportedPlatform, facts: PlatformFacts): void {
  const stack = Stack.of(platform);
  for (const part of ['account', 'region'] as const) {
    const [own, others] = [stack[part], facts[part]];
    if (others === undefined || Token.isUnresolved(own) || own === others) continue;
    throw new SpecError(
      'PLATFORM_FACTS_INVALID',
      `facts.${part}`,
      `the platform is in '${others}', the stack '${stack.node.path}' in '${own}', where its parameters are not`,
    );
  }
}
