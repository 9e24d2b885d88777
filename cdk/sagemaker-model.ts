import { Annotations, ArnFormat, Stack, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import type { Construct } from 'constructs';
import {
  containerEnvironment,
  MANIFEST_FILE,
  modelPrefix,
  PLAIN,
  SpecError,
  type InferenceServicePlan,
  type ModelLocation,
} from '../runtime/spec';
import { acknowledge } from './acknowledge';
import { gatheredRights } from './gathered-rights';
import type { Model } from './model';
import { bindModels } from './model-rights';
import { imageNeeds, type RuntimeImage } from './runtime-image';
import { endsBeforeKill } from './sagemaker-machine';

/** How a container of SageMaker reaches the network, or does not. */
export interface SageMakerNetworkProps {
  /** VPC that containers have an interface in, and models and images come through. @default - SageMaker's own network */
  readonly vpc?: ec2.IVpc;
  /** @default - the private subnets of `vpc` */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /**
   * Whether containers are kept from every network. The model lies beside them when they start and answers leave through
   * SageMaker, so they need none, and a model's hook can send nothing anywhere.
   * @default true
   */
  readonly networkIsolation?: boolean;
}

export interface SageMakerModelInput extends SageMakerNetworkProps {
  readonly plan: InferenceServicePlan;
  readonly model: Model;
  readonly image: RuntimeImage;
}

export interface SageMakerModelParts {
  readonly role: iam.Role;
  readonly model: sagemaker.CfnModel;
  /** Undefined outside a VPC. */
  readonly securityGroup?: ec2.SecurityGroup;
}

/** Where SageMaker puts what lies below the model's prefix. */
const MODEL_FOLDER = 'file:///opt/ml/model/';
/**
 * Of one value. https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html has 100 variables
 * and 32 KB for all of them beside it, which the server's few never reach. The 16 that other pages have are those of model
 * packages, and of components that bring no model; ours do.
 */
const MAX_ENVIRONMENT_BYTES = 1_024;

/**
 * An image and a model version as SageMaker keeps them together, and the role that reads them. It has no name of its own:
 * SageMaker changes no model, so CloudFormation makes another one, and a rollback finds the old one still there.
 *
 * @throws SpecError SAGEMAKER_MODEL_SOURCE for a model that lies in no folder of a bucket.
 */
export function createModel(scope: Construct, input: SageMakerModelInput): SageMakerModelParts {
  const { plan } = input;
  const role = createExecutionRole(scope, input.vpc);
  const { locations, policy } = bindModels(scope, [input.model], role);
  const location = locations[input.model.spec.name]!;
  const folder = folderOf(location, input.model);
  mayList(policy, folder, input.model);
  const { imageUri, repository } = input.image.uri(scope, imageNeeds(plan));
  repository.grantPull(role);
  warnWhenKilledEarly(scope, plan);

  const network = createNetwork(scope, input);
  const model = new sagemaker.CfnModel(scope, 'Model', {
    executionRoleArn: role.roleArn,
    enableNetworkIsolation: input.networkIsolation ?? true,
    primaryContainer: {
      image: imageUri,
      environment: environmentOf(plan, containerLocation(location, plan)),
      modelDataSource: {
        s3DataSource: { s3Uri: folder, s3DataType: 'S3Prefix', compressionType: 'None' },
      },
    },
    ...(network === undefined ? {} : { vpcConfig: network.config }),
  });
  // What SageMaker does with a model it does in the role: the rights must be there first, and go last.
  model.node.addDependency(policy, ...gatheredRights(role));
  return { role, model, ...(network === undefined ? {} : { securityGroup: network.securityGroup }) };
}

/** What SageMaker runs containers as: it writes their logs and figures, and has no other right until it is given one. */
export function createExecutionRole(scope: Construct, vpc: ec2.IVpc | undefined): iam.Role {
  const stack = Stack.of(scope);
  const anyOfAccount = stack.formatArn({ service: 'sagemaker', resource: '*', arnFormat: ArnFormat.NO_RESOURCE_NAME });
  const role = new iam.Role(scope, 'Role', {
    // Endpoints of this account alone may have it: else another account's could be made to use it.
    assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com').withConditions({
      StringEquals: { 'aws:SourceAccount': stack.account },
      ArnLike: { 'aws:SourceArn': anyOfAccount },
    }),
  });
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
      resources: [
        stack.formatArn({
          service: 'logs',
          resource: 'log-group',
          resourceName: '/aws/sagemaker/*',
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
    }),
  );
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringLike: { 'cloudwatch:namespace': ['AWS/SageMaker', '/aws/sagemaker/*'] } },
    }),
  );
  if (vpc !== undefined) role.addToPolicy(new iam.PolicyStatement({ actions: NETWORK_ACTIONS, resources: ['*'] }));
  acknowledge(
    role,
    'IAM5[Resource::*]',
    'ecr:GetAuthorizationToken and network interfaces take no resource, metrics are narrowed to the namespaces of SageMaker',
  );
  acknowledge(
    role,
    'IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws/sagemaker/*]',
    'SageMaker names log groups after endpoints and components, and makes them itself',
  );
  return role;
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html, CreateModel with a VPC. */
const NETWORK_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:CreateNetworkInterfacePermission',
  'ec2:DeleteNetworkInterface',
  'ec2:DeleteNetworkInterfacePermission',
  'ec2:DescribeDhcpOptions',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeSubnets',
  'ec2:DescribeVpcs',
];

export interface SageMakerNetwork {
  readonly securityGroup: ec2.SecurityGroup;
  readonly config: { readonly securityGroupIds: string[]; readonly subnets: string[] };
}

/** Nothing comes in; HTTPS goes out, for the model and the image. */
export function createNetwork(scope: Construct, props: SageMakerNetworkProps): SageMakerNetwork | undefined {
  const { vpc } = props;
  if (vpc === undefined) return undefined;
  const securityGroup = new ec2.SecurityGroup(scope, 'SecurityGroup', {
    vpc,
    description: 'Containers on SageMaker: nothing comes in, HTTPS goes out',
    allowAllOutbound: false,
  });
  securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'models, image and logs');
  const selection = props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS };
  return {
    securityGroup,
    config: {
      securityGroupIds: [securityGroup.securityGroupId],
      subnets: vpc.selectSubnets(selection).subnetIds,
    },
  };
}

function folderOf(location: ModelLocation<string>, { spec }: Model): string {
  if (location.folder !== undefined) return location.folder;
  throw new SpecError(
    'SAGEMAKER_MODEL_SOURCE',
    'model',
    `SageMaker takes what lies below one prefix, and '${spec.name}' is an asset per file; publish it to a ModelBucket and take it by Model.fromBucket`,
  );
}

// SageMaker lists the prefix before it copies what lies there.
function mayList(policy: iam.Policy, folder: string, { spec }: Model): void {
  const bucketName = folder.slice('s3://'.length, folder.indexOf('/', 's3://'.length));
  policy.addStatements(
    new iam.PolicyStatement({
      actions: ['s3:ListBucket'],
      resources: [Stack.of(policy).formatArn({ service: 's3', region: '', account: '', resource: bucketName })],
      conditions: { StringLike: { 's3:prefix': `${modelPrefix(spec.name)}*` } },
    }),
  );
}

// A list of all files may be longer than a variable, so the folder is named, and held to the digest of its manifest.
function containerLocation(location: ModelLocation<string>, plan: InferenceServicePlan): ModelLocation<string> {
  const manifest = plan.models[0]!.files?.find(({ path }) => path === MANIFEST_FILE);
  const manifestSha256 = location.manifestSha256 ?? manifest?.sha256;
  return {
    folder: MODEL_FOLDER,
    ...(location.version === undefined ? {} : { version: location.version }),
    ...(manifestSha256 === undefined ? {} : { manifestSha256 }),
  };
}

function environmentOf(plan: InferenceServicePlan, location: ModelLocation<string>): Record<string, string> {
  const { name } = plan.models[0]!;
  const environment = containerEnvironment(plan, {
    ...PLAIN,
    models: { [name]: location },
    clusterName: 'sagemaker',
    cloudwatchMetrics: false,
  });
  for (const [variable, value] of Object.entries(environment)) {
    const bytes = Buffer.byteLength(value);
    if (Token.isUnresolved(value) || bytes <= MAX_ENVIRONMENT_BYTES) continue;
    throw new SpecError(
      'SAGEMAKER_MODEL_SOURCE',
      'model',
      `${variable} would have ${bytes} bytes, SageMaker takes ${MAX_ENVIRONMENT_BYTES}; give the manifest of '${name}' instead of its ONNX file`,
    );
  }
  return environment;
}

function warnWhenKilledEarly(scope: Construct, { lifecycle }: InferenceServicePlan): void {
  if (lifecycle.requestDeadlineSeconds <= endsBeforeKill()) return;
  Annotations.of(scope).addWarningV2(
    'slipway:sagemaker-kills-early',
    `SageMaker kills a container 30 s after it told it to stop, and a request may take ${lifecycle.requestDeadlineSeconds} s: what takes more than ${endsBeforeKill()} s is lost when a machine goes away`,
  );
}
