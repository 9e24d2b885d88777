import { attachCustomSynthesis, Fn, Stack, Token } from 'aws-cdk-lib';
import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import * as cloudmap from 'aws-cdk-lib/aws-servicediscovery';
import * as ssm from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import { SpecError, type Preset } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { claim } from './app-registry';
import type { ICapacity } from './capacity';
import { setClusterKey } from './cluster-key';
import { Exposure } from './exposure';
import { GpuInstanceGroup, type GpuInstanceGroupProps } from './gpu-instance-group';
import { ImportedPlatform } from './imported-platform';
import { kebabCase } from './kebab-case';
import { assertListenerProtocol } from './listener-protocol';
import { unknownGroup, type IInferencePlatform, type PlatformFacts, type PlatformGroupFacts } from './platform';
import {
  capacityParameterName,
  isPlatformWord,
  PLATFORM_FACTS_SCHEMA,
  PLATFORM_PARAMETERS,
  platformKey,
  platformParameterName,
  platformParameterPrefix,
  writePlatformFacts,
  type PlatformParameter,
} from './platform-facts';
import { createNetwork, type PlatformNetwork, type PlatformNetworkProps } from './platform-network';
import { createSharedLoadBalancer, type ISharedListener } from './shared-listener';

/** A group of the platform: what `GpuInstanceGroup` takes, in the platform's cluster. */
export type PlatformGroupProps = Omit<GpuInstanceGroupProps, 'cluster' | 'platform'>;

export interface InferencePlatformProps extends PlatformNetworkProps {
  /**
   * Name by which other stacks find the platform: 1 to 40 lower-case letters, digits and dashes, unique in its account
   * and region.
   * @default - the construct's id in lower case, with dashes
   */
  readonly platformName?: string;
  /**
   * What the platform's groups, and services that join, are unless they say otherwise.
   * @default 'production'
   */
  readonly preset?: Preset;
  /**
   * A cluster that exists; it must be of the platform's stack, for machines join it, and in `vpc` where that is given.
   * @default - one of its own
   */
  readonly cluster?: ecs.Cluster;
  /** What ECS tells CloudWatch about the own cluster. @default - ENABLED in production, DISABLED in development */
  readonly containerInsights?: ecs.ContainerInsights;
  /**
   * Cloud Map namespace, made with the own cluster, in which services call each other by name (`serviceConnect`) and past
   * the listener. It is unique in its account and region.
   * @default - none
   */
  readonly namespace?: string;
  /** Certificate of the shared listener, which then speaks TLS on port 443. It is this or `plaintextInsideVpc`. */
  readonly certificate?: acm.ICertificate;
  /** Say true to have clients inside the VPC speak plain HTTP on port 80. @default false */
  readonly plaintextInsideVpc?: boolean;
  /**
   * Who can reach the shared load balancer. A public one lives in public subnets; replicas stay where they are.
   * @default Exposure.internal()
   */
  readonly exposure?: Exposure;
  /** How long the shared load balancer waits on a silent connection, and so for any answer. @default 120 */
  readonly idleTimeoutSeconds?: number;
  /** Where the load balancer writes who called; the stack must name a region. @default - no access logs */
  readonly accessLogsBucket?: s3.IBucket;
  /** Groups of machines by name, one for each kind of GPU. @default - none; services run on Fargate, or addGroup is called */
  readonly groups?: Readonly<Record<string, PlatformGroupProps>>;
  /**
   * Where the facts are written besides the output folder: a file that teams have in their repository.
   * @default - only into the output folder, as `<platformName>.platform.facts.json`
   */
  readonly factsFile?: string;
}

/**
 * What a platform team makes once: a network without a way out, a cluster, a load balancer whose listener services
 * share, and a group of machines for each kind of GPU. Services join it in the same stack, or from other stacks and apps
 * through `fromFacts`: their stacks import nothing of this one's, so each is deployed and deleted by itself.
 *
 * @example
 * new InferencePlatform(this, 'Main', {
 *   certificate,
 *   groups: { l4: { capacity: Capacity.spotFirst(['g6.xlarge', 'g5.xlarge']), maxSize: 20 } },
 * });
 */
export class InferencePlatform extends Construct implements IInferencePlatform, ec2.IConnectable {
  /**
   * A platform that another stack or app made, in the same account and region.
   * @param facts path of the file that its app wrote, or the facts themselves.
   * @throws SpecError PLATFORM_FACTS_INVALID
   */
  static fromFacts(scope: Construct, id: string, facts: string | PlatformFacts): IInferencePlatform {
    return new ImportedPlatform(scope, id, facts);
  }

  readonly platformName: string;
  readonly key: string;
  readonly parameterPrefix: string;
  readonly preset: Preset;
  readonly vpc: ec2.IVpc;
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly sharedListener: ISharedListener;
  readonly namespace?: string;
  /** Clients are let in here, on the listener's port: to every service of the platform. */
  readonly connections: ec2.Connections;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly cluster: ecs.Cluster;
  readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  readonly listener: elbv2.ApplicationListener;

  private readonly network: PlatformNetwork;
  private readonly parameters: Construct;
  private readonly groups = new Map<string, GpuInstanceGroup>();
  private readonly groupScope: Construct;

  constructor(scope: Construct, id: string, props: InferencePlatformProps) {
    super(scope, id);
    this.platformName = props.platformName ?? kebabCase(id);
    assertProps(this, this.platformName, props);
    this.preset = props.preset ?? 'production';
    this.parameterPrefix = platformParameterPrefix(this.platformName);
    this.key = platformKey(this, { ...environmentOf(this), parameterPrefix: this.parameterPrefix });
    this.takeName();
    const exposure = props.exposure ?? Exposure.internal();

    this.network = createNetwork(
      this,
      { preset: this.preset, isPublic: exposure.isPublic },
      {
        ...props,
        ...(props.cluster === undefined ? {} : { vpc: props.cluster.vpc }),
      },
    );
    this.vpc = this.network.vpc;
    this.vpcSubnets = this.network.vpcSubnets;
    this.cluster = setClusterKey(props.cluster ?? this.createCluster(props), this.key);
    if (props.namespace !== undefined) this.namespace = props.namespace;
    const idleTimeoutSeconds = integer('idleTimeoutSeconds', props.idleTimeoutSeconds, 120, 1, 4_000);
    const { loadBalancer, listener } = createSharedLoadBalancer(this, {
      vpc: this.vpc,
      vpcSubnets: this.vpcSubnets,
      idleTimeoutSeconds,
      exposure,
      certificate: props.certificate,
      accessLogsBucket: props.accessLogsBucket,
    });
    this.loadBalancer = loadBalancer;
    this.listener = listener;
    this.connections = new ec2.Connections({
      securityGroups: loadBalancer.connections.securityGroups,
      defaultPort: ec2.Port.tcp(listener.port),
    });
    this.sharedListener = {
      key: this.key,
      listener,
      loadBalancerFullName: loadBalancer.loadBalancerFullName,
      loadBalancerDnsName: loadBalancer.loadBalancerDnsName,
      securityGroup: loadBalancer.connections.securityGroups[0]!,
      port: listener.port,
      isTls: props.certificate !== undefined,
      isPublic: exposure.isPublic,
      idleTimeoutSeconds,
      hasNonForwardActions: true,
    };

    this.parameters = new Construct(this, 'Parameters');
    this.writeParameters();
    this.groupScope = new Construct(this, 'Groups');
    for (const [name, group] of Object.entries(props.groups ?? {})) this.addGroup(name, group);
    attachCustomSynthesis(this, {
      onSynthesize: ({ outdir }) => writePlatformFacts(this.facts, outdir, props.factsFile),
    });
  }

  /** Everything plain about the platform as it is now: `fromFacts` takes it in other stacks of the same app. */
  get facts(): PlatformFacts {
    const { port, isTls, isPublic, idleTimeoutSeconds } = this.sharedListener;
    return {
      schema: PLATFORM_FACTS_SCHEMA,
      platformName: this.platformName,
      preset: this.preset,
      ...environmentOf(this),
      parameterPrefix: this.parameterPrefix,
      zones: this.network.subnets.length,
      subnetType: this.network.subnetType,
      listener: { port, tls: isTls, exposure: isPublic ? 'public' : 'internal', idleTimeoutSeconds },
      ...(this.namespace === undefined ? {} : { namespace: this.namespace }),
      groups: Object.fromEntries([...this.groups].map(([name, group]) => [name, groupFacts(group)])),
    };
  }

  /**
   * Adds a group of machines, which services then know by its name.
   * @param name 1 to 40 lower-case letters, digits and dashes.
   */
  addGroup(name: string, props: PlatformGroupProps): GpuInstanceGroup {
    if (!isPlatformWord(name)) throw wrongName(`groups.${name}`, name);
    const group = new GpuInstanceGroup(this.groupScope, name, { ...props, platform: this });
    this.groups.set(name, group);
    new ssm.StringParameter(this.parameters, `capacity-${name}`, {
      parameterName: capacityParameterName(this.parameterPrefix, name),
      description: `capacity provider of the group ${name}`,
      stringValue: group.capacityProviderName,
    });
    return group;
  }

  /**
   * Lets replicas and machines reach an AWS service inside the VPC, where they have no other way: secrets, for instance.
   * Each is charged by the hour and zone.
   */
  addEndpoint(service: ec2.InterfaceVpcEndpointAwsService): ec2.InterfaceVpcEndpoint {
    return this.network.endpoints.add(service);
  }

  capacity(name: string): GpuInstanceGroup {
    const group = this.groups.get(name);
    if (group === undefined) throw unknownGroup(this.platformName, name, [...this.groups.keys()]);
    return group;
  }

  private takeName(): void {
    const earlier = claim(this, 'platform', this.key);
    if (earlier === undefined) return;
    this.node.addValidation({
      validate: () => [
        new SpecError(
          'NAME_TAKEN',
          'platformName',
          `'${this.platformName}' is the name of '${earlier.node.path}' in the same account and region; give one of them another`,
        ).message,
      ],
    });
  }

  private createCluster({ containerInsights, namespace }: InferencePlatformProps): ecs.Cluster {
    return new ecs.Cluster(this, 'Cluster', {
      vpc: this.vpc,
      containerInsightsV2:
        containerInsights ??
        (this.preset === 'production' ? ecs.ContainerInsights.ENABLED : ecs.ContainerInsights.DISABLED),
      // Whoever joins from another app cannot switch these on, and they cost nothing.
      enableFargateCapacityProviders: true,
      ...(namespace === undefined
        ? {}
        : {
            defaultCloudMapNamespace: {
              name: namespace,
              type: cloudmap.NamespaceType.HTTP,
              useForServiceConnect: true,
            },
          }),
    });
  }

  // Strings alone: CloudFormation resolves them when a stack that joins is deployed, and nobody exports anything.
  private writeParameters(): void {
    const { subnets } = this.network;
    const values: Record<PlatformParameter, string> = {
      vpcId: this.vpc.vpcId,
      subnets: Fn.join(',', [
        ...subnets.map(({ subnetId }) => subnetId),
        ...subnets.map(({ availabilityZone }) => availabilityZone),
      ]),
      clusterName: this.cluster.clusterName,
      listenerArn: this.listener.listenerArn,
      loadBalancerName: this.sharedListener.loadBalancerFullName,
      loadBalancerDns: this.sharedListener.loadBalancerDnsName,
      loadBalancerSecurityGroup: this.sharedListener.securityGroup.securityGroupId,
    };
    for (const parameter of Object.keys(values) as PlatformParameter[]) {
      const { name, description } = PLATFORM_PARAMETERS[parameter];
      new ssm.StringParameter(this.parameters, name, {
        parameterName: platformParameterName(this.parameterPrefix, parameter),
        description,
        stringValue: values[parameter],
      });
    }
  }
}

function assertProps(platform: Construct, platformName: string, props: InferencePlatformProps): void {
  if (!isPlatformWord(platformName)) throw wrongName('platformName', platformName);
  props.exposure?.assertCanBe(props.certificate);
  assertListenerProtocol(props);
  const { cluster, vpc } = props;
  if (cluster === undefined) return;
  const [own, others] = [Stack.of(platform), Stack.of(cluster)];
  if (own !== others) {
    throw new SpecError(
      'CLUSTER_MISMATCH',
      'cluster',
      `must be in the stack of the platform, '${own.node.path}', got '${cluster.node.path}'; machines join it here`,
    );
  }
  const contradiction = (['namespace', 'containerInsights'] as const).find((name) => props[name] !== undefined);
  if (contradiction !== undefined) {
    throw new SpecError(
      'NETWORK_CHOICE',
      contradiction,
      'says how to make a cluster, but one is given in cluster; leave one of them out',
    );
  }
  if (vpc !== undefined && vpc !== cluster.vpc) {
    throw new SpecError(
      'CLUSTER_MISMATCH',
      'vpc',
      `got '${vpc.node.path}', but the cluster is in '${cluster.vpc.node.path}'; leave vpc out`,
    );
  }
}

function wrongName(path: string, name: string): SpecError {
  return new SpecError(
    'NAME_INVALID',
    path,
    `must be 1 to 40 lower-case letters, digits and dashes, begin with a letter and not end with a dash, got '${name}'`,
  );
}

function environmentOf(construct: Construct): Pick<PlatformFacts, 'account' | 'region'> {
  const { account, region } = Stack.of(construct);
  return {
    ...(Token.isUnresolved(account) ? {} : { account }),
    ...(Token.isUnresolved(region) ? {} : { region }),
  };
}

function groupFacts({ kind, instanceTypes, maxMachines, spot, modelCache }: ICapacity): PlatformGroupFacts {
  return {
    kind,
    instanceTypes,
    ...(maxMachines === undefined ? {} : { maxMachines }),
    spot,
    ...(modelCache === true ? { modelCache } : {}),
  };
}
