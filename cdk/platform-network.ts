import { RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct, type IConstruct } from 'constructs';
import { SpecError, type Preset } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { addPlaceOfEndpoints } from './way-out';

/** AWS services that replicas and machines reach inside the VPC; S3 is always among them, its endpoint costs nothing. */
export type EndpointSet = 'none' | 'minimal' | 'full';

const MAX_ZONES = 6;

const Service = ec2.InterfaceVpcEndpointAwsService;

// Without a way out, a machine that cannot ask one of these never joins its cluster, or never gets its image or logs out.
const MINIMAL = [
  Service.ECR,
  Service.ECR_DOCKER,
  Service.CLOUDWATCH_LOGS,
  Service.ECS,
  Service.ECS_AGENT,
  Service.ECS_TELEMETRY,
];
// What services of some kinds ask besides: secrets, keys, queues, tokens of roles, parameters, a shell in a container.
const FULL = [
  ...MINIMAL,
  Service.SECRETS_MANAGER,
  Service.KMS,
  Service.SQS,
  Service.STS,
  Service.SSM,
  Service.SSM_MESSAGES,
  Service.CLOUDWATCH_MONITORING,
];
const ENDPOINTS: Readonly<Record<EndpointSet, readonly ec2.InterfaceVpcEndpointAwsService[]>> = {
  none: [],
  minimal: MINIMAL,
  full: FULL,
};

export interface PlatformNetworkProps {
  /**
   * A VPC that exists; its endpoints, routes and flow logs are its owner's. One that another stack of the app makes is
   * refused: that stack would export it.
   * @default - one of its own, with subnets that have no way out, endpoints for what replicas need, and flow logs
   */
  readonly vpc?: ec2.IVpc;
  /**
   * Subnets of `vpc` for machines, replicas and the load balancer: one in each zone.
   * @default - those with a way out, or else the isolated ones
   */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** Addresses of the own VPC, a block from /16 to /22. @default '10.0.0.0/16' */
  readonly cidr?: string;
  /** Zones of the own VPC, 2 to 6; two where the stack names no region. @default 2 */
  readonly maxAzs?: number;
  /**
   * `nat`: replicas of the own VPC reach the internet through NAT gateways, one in each zone in production.
   * @default 'none'
   */
  readonly egress?: 'none' | 'nat';
  /**
   * Interface endpoints of the own VPC, each charged by the hour and zone. `minimal`: what ECS on EC2 and Fargate needs
   * to start a replica. `full`: secrets, keys, queues, role tokens, parameters, metrics and shells too.
   * @default - 'minimal' without a way out, 'none' with NAT gateways
   */
  readonly endpoints?: EndpointSet;
  /** How long flow logs of the own VPC are kept. @default RetentionDays.ONE_MONTH */
  readonly logRetention?: logs.RetentionDays;
}

/** What the platform itself asks of its network. */
export interface NetworkNeeds {
  readonly preset: Preset;
  /** Whether the load balancer faces the internet, and so needs subnets that do. */
  readonly isPublic: boolean;
}

export interface PlatformNetwork {
  readonly vpc: ec2.IVpc;
  /** The subnets themselves, one in each zone. */
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly subnets: readonly ec2.ISubnet[];
  readonly subnetType: 'isolated' | 'private';
  readonly endpoints: PlatformEndpoints;
}

/**
 * Makes the platform's VPC, or finds its way about in a given one.
 * @throws SpecError NETWORK_CHOICE for choices that exclude each other.
 */
export function createNetwork(scope: Construct, needs: NetworkNeeds, props: PlatformNetworkProps): PlatformNetwork {
  assertChoices(props);
  const cidr = props.cidr ?? '10.0.0.0/16';
  const vpc = props.vpc ?? createVpc(scope, needs, cidr, props);
  assertNotExported(scope, 'vpc', vpc, vpc.vpcId);
  const selected = vpc.selectSubnets(props.vpcSubnets ?? { subnetType: preferredType(vpc), onePerAz: true });
  assertOnePerZone(selected.subnets);
  for (const subnet of selected.subnets) assertNotExported(scope, 'vpcSubnets', subnet, subnet.subnetId);
  const vpcSubnets = { subnets: selected.subnets };
  const endpoints = new PlatformEndpoints(scope, 'Endpoints', {
    vpc,
    vpcSubnets,
    ...(props.vpc === undefined ? { cidr } : {}),
  });
  addPlaceOfEndpoints(vpc, endpoints);
  if (props.vpc === undefined) {
    ENDPOINTS[props.endpoints ?? (props.egress === 'nat' ? 'none' : 'minimal')].forEach((each) => endpoints.add(each));
  }
  const isolated = new Set(vpc.isolatedSubnets.map(({ node }) => node.path));
  return {
    vpc,
    vpcSubnets,
    subnets: selected.subnets,
    subnetType: selected.subnets.some(({ node }) => isolated.has(node.path)) ? 'isolated' : 'private',
    endpoints,
  };
}

function assertChoices(props: PlatformNetworkProps): void {
  const ownVpcOnly = ['cidr', 'maxAzs', 'egress', 'endpoints', 'logRetention'] as const;
  const contradiction = props.vpc === undefined ? undefined : ownVpcOnly.find((name) => props[name] !== undefined);
  if (contradiction !== undefined) {
    throw new SpecError(
      'NETWORK_CHOICE',
      contradiction,
      `says how to make a VPC, but one is given in vpc; leave one of them out`,
    );
  }
  if (props.vpc === undefined && props.vpcSubnets !== undefined) {
    throw new SpecError('NETWORK_CHOICE', 'vpcSubnets', 'selects among the subnets of a VPC that exists, got no vpc');
  }
  if (props.endpoints === 'none' && props.egress !== 'nat') {
    throw new SpecError(
      'NETWORK_CHOICE',
      'endpoints',
      "got 'none' and no way out: no replica could ever be started; leave endpoints out or write egress: 'nat'",
    );
  }
}

// An id that another stack knows at deployment alone would be exported by it, and neither stack could change any more.
function assertNotExported(scope: Construct, path: string, owner: IConstruct, id: string): void {
  const [own, others] = [Stack.of(scope), Stack.of(owner)];
  if (own === others || !Token.isUnresolved(id)) return;
  throw new SpecError(
    'NETWORK_CHOICE',
    path,
    `'${owner.node.path}' is made in another stack than the platform's, '${own.node.path}', and would lock both; find it with ec2.Vpc.fromLookup, or make the platform beside it`,
  );
}

// A load balancer takes one subnet of a zone, and a second one would say nothing about where to place a replica.
function assertOnePerZone(subnets: readonly ec2.ISubnet[]): void {
  const zones = new Set(subnets.map(({ availabilityZone }) => availabilityZone)).size;
  if (subnets.length > 0 && subnets.length === zones) return;
  throw new SpecError(
    'NETWORK_CHOICE',
    'vpcSubnets',
    subnets.length === 0
      ? 'must select at least one subnet of the VPC, got none'
      : `must select one subnet in each zone, got ${subnets.length} in ${zones}; add onePerAz: true`,
  );
}

function createVpc(
  scope: Construct,
  { preset, isPublic }: NetworkNeeds,
  cidr: string,
  props: PlatformNetworkProps,
): ec2.Vpc {
  const maxAzs = integer('maxAzs', props.maxAzs, 2, 2, MAX_ZONES);
  const nat = props.egress === 'nat';
  const prefix = prefixOf(cidr);
  const vpc = new ec2.Vpc(scope, 'Vpc', {
    ipAddresses: ec2.IpAddresses.cidr(cidr),
    maxAzs,
    natGateways: nat ? (preset === 'production' ? maxAzs : 1) : 0,
    subnetConfiguration: [
      {
        name: 'Replicas',
        subnetType: nat ? ec2.SubnetType.PRIVATE_WITH_EGRESS : ec2.SubnetType.PRIVATE_ISOLATED,
        cidrMask: prefix + 3,
      },
      ...(nat || isPublic
        ? [{ name: 'Public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: prefix + 5, mapPublicIpOnLaunch: false }]
        : []),
    ],
    // Room for every zone is kept from the beginning, so that one more zone, or a way out, moves no subnet that is in use.
    reservedAzs: MAX_ZONES - maxAzs,
    // Models and layers of images, which are gigabytes, come this way and cost nothing to carry.
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
    // Emptying the default security group takes a Lambda function, and nothing here is in that group.
    restrictDefaultSecurityGroup: false,
  });
  const group = new logs.LogGroup(scope, 'Logs', {
    retention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
    removalPolicy: preset === 'production' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });
  vpc.addFlowLog('Rejected', {
    trafficType: ec2.FlowLogTrafficType.REJECT,
    destination: ec2.FlowLogDestination.toCloudWatchLogs(group),
  });
  return vpc;
}

// An eighth of the addresses is a zone's for replicas, a thirty-second for what faces the internet: a load balancer needs
// 32 of them.
function prefixOf(cidr: string): number {
  const prefix = /^(?:\d{1,3}\.){3}\d{1,3}\/(1[6-9]|2[0-2])$/.exec(cidr)?.[1];
  if (prefix !== undefined) return Number(prefix);
  throw new SpecError('NETWORK_CHOICE', 'cidr', `must be a block of IPv4 addresses from /16 to /22, got '${cidr}'`);
}

function preferredType(vpc: ec2.IVpc): ec2.SubnetType {
  return vpc.privateSubnets.length > 0 ? ec2.SubnetType.PRIVATE_WITH_EGRESS : ec2.SubnetType.PRIVATE_ISOLATED;
}

/** Ways to AWS services inside the VPC, behind one security group that HTTPS from inside the VPC passes. */
export class PlatformEndpoints extends Construct {
  private securityGroup: ec2.SecurityGroup | undefined;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: {
      readonly vpc: ec2.IVpc;
      readonly vpcSubnets: ec2.SubnetSelection;
      /** @default - the VPC's, which an imported VPC may not know */
      readonly cidr?: string;
    },
  ) {
    super(scope, id);
  }

  /** The endpoint of a service: one per service, however often it is asked for. */
  add(service: ec2.InterfaceVpcEndpointAwsService): ec2.InterfaceVpcEndpoint {
    const { vpc, vpcSubnets } = this.props;
    const there = this.node.tryFindChild(service.shortName) as ec2.InterfaceVpcEndpoint | undefined;
    return (
      there ??
      new ec2.InterfaceVpcEndpoint(this, service.shortName, {
        vpc,
        subnets: vpcSubnets,
        service,
        // The security group says who comes in.
        open: false,
        securityGroups: [(this.securityGroup ??= this.createSecurityGroup())],
      })
    );
  }

  private createSecurityGroup(): ec2.SecurityGroup {
    const { vpc, cidr } = this.props;
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'VPC endpoints: HTTPS comes in from the VPC, nothing goes out',
      allowAllOutbound: false,
    });
    securityGroup.addIngressRule(ec2.Peer.ipv4(cidr ?? vpc.vpcCidrBlock), ec2.Port.tcp(443), 'from inside the VPC');
    return securityGroup;
  }
}
