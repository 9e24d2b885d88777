import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  CloudFormationClient,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
  type StackResource,
} from '@aws-sdk/client-cloudformation';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import type { AwsEmulator } from 'slipway/testing';
import { cdk } from './cdk-cli';
import { synthesizeInto, type CreateApp } from './examples';
import { newOrganisation, type Organisation } from './organisation';
import { DIGEST, FLAGS } from './stacks';

const ASSETS = '.assets.json';
const TEMPLATE = '.template.json';
const IMAGE_ID = 'ami-0123456789abcdef0';
// Resources that others refer to, and that the emulator does not create.
const PASSED_OVER = ['AWS::ECS::CapacityProvider', 'AWS::CloudWatch::Alarm'];
// Attributes of resources that it creates and does not know.
const UNKNOWN_ATTRIBUTES = ['TargetGroupFullName'];

// What the emulator wants otherwise than AWS.
const ADAPT: Readonly<Record<string, (properties: any, resources: DeployedStack['resources']) => void>> = {
  // AWS takes its own role where none is named, and reads the type in any case.
  'AWS::Batch::ComputeEnvironment': (properties) => {
    properties.ServiceRole ??= 'arn:aws:iam::123456789012:role/replicas';
    properties.Type = properties.Type.toUpperCase();
  },
  // Its list of types ends years ago, and it knows no variant without a model, which holds inference components.
  'AWS::SageMaker::EndpointConfig': (properties, resources) => {
    const model = Object.keys(resources).find((id) => resources[id]!.Type === 'AWS::SageMaker::Model');
    for (const variant of properties.ProductionVariants) {
      variant.InstanceType = 'ml.g4dn.xlarge';
      variant.ModelName ??= { 'Fn::GetAtt': [model, 'ModelName'] };
    }
  },
};

export interface DeployedStack {
  readonly name: string;
  readonly region: string;
  readonly status: string;
  /** What the template has, by logical id. */
  readonly resources: Readonly<Record<string, TemplateResource>>;
  /** What was created, by logical id. */
  readonly created: Readonly<Record<string, StackResource>>;
}

export interface TemplateResource {
  readonly Type: string;
  // Whatever the type takes: tests say what they expect of it.
  readonly Properties?: any;
}

interface Template {
  readonly Resources: DeployedStack['resources'];
  readonly Parameters?: Readonly<Record<string, { readonly Type: string; readonly Default?: string }>>;
}

/** What an SDK needs to talk to the emulator. */
export function connectionTo(emulator: AwsEmulator, region = emulator.environment['AWS_REGION']!) {
  return { endpoint: emulator.endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
}

/** Deploys all stacks of an example with the CDK's CLI, one app after the other, as its makers would. */
export async function deploy(
  apps: readonly CreateApp[],
  emulator: AwsEmulator,
  organisations: Map<string, Organisation>,
): Promise<readonly DeployedStack[]> {
  const stacks: DeployedStack[] = [];
  for (const createApp of apps) {
    const folder = synthesizeInto(createApp, { ...FLAGS.recommended, image: pushed(emulator) });
    adapt(folder);
    const regions = regionsOf(folder, emulator);
    for (const region of new Set(Object.values(regions))) {
      if (organisations.has(region)) continue;
      await cdk(['bootstrap', `aws://${emulator.account}/${region}`, '--app', folder], emulator.environment);
      organisations.set(region, await newOrganisation(emulator, connectionTo(emulator, region), pushed(emulator)));
    }
    const templates = templatesIn(folder);
    await Promise.all(
      Object.entries(templates).map(([stack, template]) => putParameters(template, emulator, regions[stack]!)),
    );
    const parameters = Object.entries(templates).flatMap(([stack, template]) =>
      parametersOf(stack, template, organisations.get(regions[stack]!)!),
    );
    await cdk(
      [
        'deploy',
        '--all',
        '--app',
        folder,
        '--require-approval',
        'never',
        ...parameters.flatMap((each) => ['--parameters', each]),
      ],
      emulator.environment,
    );
    for (const [name, { Resources }] of Object.entries(templates)) {
      stacks.push(await describe(name, Resources, emulator, regions[name]!));
    }
  }
  return stacks;
}

/** What `slipway image push` prints. */
export function pushed(emulator: AwsEmulator): string {
  return `${emulator.account}.dkr.ecr.${emulator.environment['AWS_REGION']}.amazonaws.com/slipway@${DIGEST}`;
}

/**
 * What the emulator cannot take goes: image assets, which a container engine builds and pushes to a registry, and references
 * to resources that it passes over, which it says are undefined or leaves empty.
 */
function adapt(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => each.endsWith(ASSETS))) {
    rewrite(join(folder, name), (assets) => ({ ...assets, dockerImages: {} }));
  }
  for (const name of readdirSync(folder).filter((each) => each.endsWith(TEMPLATE))) {
    rewrite(join(folder, name), (template) => {
      const { Resources } = template as unknown as Template;
      for (const resource of Object.values(Resources)) ADAPT[resource.Type]?.(resource.Properties, Resources);
      return withoutPassedOver(template, Resources);
    });
  }
}

function withoutPassedOver(value: unknown, resources: DeployedStack['resources']): unknown {
  if (Array.isArray(value)) return value.map((each) => withoutPassedOver(each, resources));
  if (typeof value !== 'object' || value === null) return value;
  const { Ref, 'Fn::GetAtt': attribute } = value as {
    readonly Ref?: string;
    readonly 'Fn::GetAtt'?: readonly string[];
  };
  const id = Ref ?? attribute?.[0];
  const type = id === undefined ? undefined : resources[id]?.Type;
  const isUnknown = attribute !== undefined && UNKNOWN_ATTRIBUTES.includes(attribute[1]!);
  if (type !== undefined && (PASSED_OVER.includes(type) || isUnknown)) return `${id} of ${type}`;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutPassedOver(each, resources)]));
}

function rewrite(path: string, change: (content: Record<string, unknown>) => unknown): void {
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>)));
}

function templatesIn(folder: string): Readonly<Record<string, Template>> {
  const names = readdirSync(folder).filter((name) => name.endsWith(TEMPLATE) && !name.includes('.nested.'));
  return Object.fromEntries(
    names.map((name) => [basename(name, TEMPLATE), JSON.parse(readFileSync(join(folder, name), 'utf8')) as Template]),
  );
}

function regionsOf(folder: string, emulator: AwsEmulator): Readonly<Record<string, string>> {
  const { artifacts } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
    artifacts: Record<string, { readonly type: string; readonly environment?: string }>;
  };
  const stacks = Object.entries(artifacts).filter(([, { type }]) => type === 'aws:cloudformation:stack');
  return Object.fromEntries(
    stacks.map(([name, { environment = '' }]) => {
      const region = environment.split('/').at(-1)!;
      return [name, region.startsWith('unknown') ? emulator.environment['AWS_REGION']! : region];
    }),
  );
}

/** Parameters of the store that a stack reads and that nobody has written: machine images that a team pins. */
async function putParameters({ Parameters = {} }: Template, emulator: AwsEmulator, region: string): Promise<void> {
  const ssm = new SSMClient(connectionTo(emulator, region));
  for (const { Type, Default } of Object.values(Parameters)) {
    if (!Type.includes('Image::Id') || Default === undefined) continue;
    const found = await ssm.send(new GetParameterCommand({ Name: Default })).catch(() => undefined);
    if (found === undefined) {
      await ssm.send(new PutParameterCommand({ Name: Default, Value: IMAGE_ID, Type: 'String' }));
    }
  }
}

/** Values for the parameters that whoever deploys must give. */
function parametersOf(stack: string, { Parameters = {} }: Template, organisation: Organisation): readonly string[] {
  return Object.entries(Parameters)
    .filter(([, { Default }]) => Default === undefined)
    .map(([name]) => `${stack}:${name}=${organisation.valueFor(name)}`);
}

async function describe(
  name: string,
  resources: DeployedStack['resources'],
  emulator: AwsEmulator,
  region: string,
): Promise<DeployedStack> {
  const client = new CloudFormationClient(connectionTo(emulator, region));
  const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: name }));
  const { StackResources = [] } = await client.send(new DescribeStackResourcesCommand({ StackName: name }));
  const created = Object.fromEntries(StackResources.map((resource) => [resource.LogicalResourceId!, resource]));
  return { name, region, status: Stacks![0]!.StackStatus!, resources, created };
}
