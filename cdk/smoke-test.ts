import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { packageRoot } from '../runtime/image/image-context';
import { MANIFEST_FILE, SpecError, type InferenceServicePlan, type ModelLocation } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import type { SmokeTestOptions } from './rollout';
import type { TestEndpoint } from './service-endpoint';

export interface SmokeTestProps {
  readonly plan: InferenceServicePlan;
  readonly vpc: ec2.IVpc;
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly endpoint: TestEndpoint;
  /** The same late-bound values as the replicas', so that whatever moves those moves the test. */
  readonly locations: Readonly<Record<string, ModelLocation<string>>>;
  /** The right to read the models. */
  readonly readModels: iam.Policy;
  readonly options: SmokeTestOptions;
  readonly logRetention: logs.RetentionDays;
}

const DEFAULT_TIMEOUT = Duration.minutes(5);
/** The environment of a function holds 4 KiB: a model takes some 300 characters of it. */
const MAX_MODELS = 12;
/** Files that the test reads: all others are weights. */
const GOLDEN_FOLDER = 'golden/';

/**
 * Asks a new revision for its models' golden outputs through the test listener, before a caller reaches it. A wrong or
 * missing answer fails the deployment, and ECS goes back to the old revision.
 */
export class SmokeTest extends Construct {
  readonly function: lambda.Function;
  readonly securityGroup: ec2.SecurityGroup;
  readonly logGroup: logs.LogGroup;
  /** Role by which ECS calls the function. */
  readonly hookRole: iam.Role;

  constructor(scope: Construct, id: string, props: SmokeTestProps) {
    super(scope, id);
    const models = describeModels(props);
    this.securityGroup = this.createSecurityGroup(props);
    this.logGroup = new logs.LogGroup(this, 'Logs', {
      retention: props.logRetention,
      removalPolicy: props.plan.preset === 'production' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    const role = this.createRole();
    props.readModels.attachToRole(role);
    this.function = new lambda.Function(this, 'Function', {
      description: `asks a new revision of ${props.plan.name} before callers do`,
      runtime: lambda.Runtime.NODEJS_22_X,
      handler: 'index.handler',
      code: lambda.Code.fromAsset(smokeTestFolder()),
      memorySize: 512,
      timeout: props.options.timeout ?? DEFAULT_TIMEOUT,
      environment: { TARGET: props.endpoint.url, MODELS: models },
      role,
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets,
      securityGroups: [this.securityGroup],
      logGroup: this.logGroup,
    });
    this.function.node.addDependency(props.readModels);
    // CDK has a function wait for the role that it names as well.
    const resource = this.function.node.defaultChild as lambda.CfnFunction;
    resource.addMetadata('cfn-lint', { config: { ignore_checks: ['W3005'] } });
    acknowledge(
      this.function,
      'L1',
      'the runtime is the one whose SDK the function was tested with, and is still kept up',
    );
    this.hookRole = this.createHookRole();
  }

  /** What a service takes as a hook of its deployments. */
  get hook(): ecs.IDeploymentLifecycleHookTarget {
    return new ecs.DeploymentLifecycleLambdaTarget(this.function, 'SmokeTest', {
      lifecycleStages: [ecs.DeploymentLifecycleStage.POST_TEST_TRAFFIC_SHIFT],
      role: this.hookRole,
    });
  }

  private createSecurityGroup({ plan, vpc, endpoint }: SmokeTestProps): ec2.SecurityGroup {
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: `Smoke test of ${plan.name}: asks the test listener, and fetches golden files over HTTPS`,
      allowAllOutbound: false,
    });
    securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'golden files and logs');
    endpoint.connections.allowDefaultPortFrom(securityGroup, 'smoke test');
    return securityGroup;
  }

  private createRole(): iam.Role {
    const role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [this.logGroup.logGroupArn],
      }),
    );
    // Lambda makes the function's network interfaces by its role, before there is anything to name. The function itself
    // must not: its requests, and they alone, say which function they come from.
    role.addToPolicy(new iam.PolicyStatement({ actions: [...NETWORK_ACTIONS], resources: ['*'] }));
    role.addToPolicy(
      new iam.PolicyStatement({
        effect: iam.Effect.DENY,
        actions: [...NETWORK_ACTIONS],
        resources: ['*'],
        conditions: { Null: { 'lambda:SourceFunctionArn': 'false' } },
      }),
    );
    acknowledge(
      role,
      'IAM5[Resource::*]',
      'Lambda makes network interfaces by this role before there is anything to name',
    );
    return role;
  }

  private createHookRole(): iam.Role {
    const role = new iam.Role(this, 'HookRole', {
      assumedBy: new iam.ServicePrincipal('ecs.amazonaws.com').withConditions({
        StringEquals: { 'aws:SourceAccount': Stack.of(this).account },
      }),
    });
    role.addToPolicy(
      new iam.PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [this.function.functionArn] }),
    );
    return role;
  }
}

// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
const NETWORK_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

/** What the function must know of each model: where its manifest lies, and, where files lie apart, its golden files. */
function describeModels({ plan, locations, options }: SmokeTestProps): string {
  const names = plan.models.map(({ name }) => name);
  const stranger = options.models?.find((name) => !names.includes(name));
  if (stranger !== undefined) {
    throw new SpecError(
      'ROLLOUT_RANGE',
      'rollout.smokeTest.models',
      `must be models of the service (${names.join(', ')}), got '${stranger}'`,
    );
  }
  const asked = plan.models.filter(({ name }) => options.models?.includes(name) ?? true);
  if (asked.length === 0 || asked.length > MAX_MODELS) {
    throw new SpecError(
      'ROLLOUT_RANGE',
      'rollout.smokeTest.models',
      `one smoke test asks 1 to ${MAX_MODELS} models, got ${asked.length}; name those that matter most`,
    );
  }
  return JSON.stringify(
    asked.map(({ name, version, files = [] }) => {
      const location = locations[name]!;
      const head = { name, version: location.version ?? String(version) };
      if (location.folder !== undefined) {
        const { folder, manifestSha256 = files.find(({ path }) => path === MANIFEST_FILE)?.sha256 } = location;
        return { ...head, folder, ...(manifestSha256 === undefined ? {} : { manifestSha256 }) };
      }
      const read = Object.entries(location.fileUris).filter(
        ([path]) => path === MANIFEST_FILE || path.startsWith(GOLDEN_FOLDER),
      );
      return { ...head, files: Object.fromEntries(read) };
    }),
  );
}

/**
 * The function's code, as it ships in the package: built once, with nothing to bundle at synth.
 * @throws SpecError SMOKE_TEST_MISSING in a checkout that has not been built.
 */
export function smokeTestFolder(root: string = packageRoot()): string {
  const folder = join(root, 'dist', 'smoke-test');
  if (existsSync(join(folder, 'index.mjs'))) return folder;
  throw new SpecError(
    'SMOKE_TEST_MISSING',
    'rollout.smokeTest',
    `there is no ${join(folder, 'index.mjs')}; run 'npm run build' in ${root}`,
  );
}
