import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startAwsEmulator } from '../../testing';
import { programOnPath } from '../../testing/program-on-path';
import { cdk, type Template } from './cdk-app';
import { passed, SkippedStep, type Outcome } from './step';

// Resources that others refer to and that the emulator does not create, and attributes that it does not know.
const PASSED_OVER = ['AWS::ECS::CapacityProvider', 'AWS::CloudWatch::Alarm'];
const UNKNOWN_ATTRIBUTES = ['TargetGroupFullName'];

/**
 * Deploys a synthesized app to moto, an emulator of AWS: uploads, references and parameters are right, or it says what is
 * not. What AWS itself would do is not shown.
 */
export async function deployToEmulator(
  folder: string,
  output: string,
  templates: readonly Template[],
  parameters: readonly string[],
): Promise<Outcome> {
  if (programOnPath('moto_server') === undefined) {
    throw new SkippedStep("moto_server is not on the PATH; install it with: python3 -m pip install 'moto[server]'");
  }
  assertDeployable(output, templates, parameters);
  const notes = adapt(output, templates);
  const emulator = await startAwsEmulator();
  try {
    const { environment, account } = emulator;
    const from = ['--app', output];
    await cdk(folder, ['bootstrap', `aws://${account}/${environment['AWS_REGION']}`, ...from], environment);
    const given = parameters.flatMap((each) => ['--parameters', each]);
    await cdk(folder, ['deploy', '--all', '--require-approval', 'never', ...from, ...given], environment);
  } catch (error) {
    throw limitOfEmulator(error as Error, templates) ?? error;
  } finally {
    await emulator.stop();
  }
  return passed(`${templates.length} stacks came up in the emulator`, notes);
}

function assertDeployable(output: string, templates: readonly Template[], parameters: readonly string[]): void {
  const { artifacts } = JSON.parse(readFileSync(path.join(output, 'manifest.json'), 'utf8')) as {
    artifacts: Record<string, { type: string; environment?: string }>;
  };
  const elsewhere = Object.entries(artifacts).find(
    ([, { environment }]) => environment !== undefined && environment !== 'aws://unknown-account/unknown-region',
  );
  if (elsewhere !== undefined) {
    throw new SkippedStep(
      `stack ${elsewhere[0]} is for ${elsewhere[1].environment}, and the emulator is another account`,
    );
  }
  const given = parameters.map((each) => each.split('=')[0]!.split(':').at(-1));
  const open = templates.flatMap(({ name, content }) =>
    Object.entries(content.Parameters ?? {}).flatMap(([parameter, { Default }]) =>
      Default === undefined && !given.includes(parameter) ? [`${name}:${parameter}`] : [],
    ),
  );
  if (open.length > 0) {
    throw new SkippedStep(`parameters have no default: ${open.join(', ')}; give each as --parameter stack:name=value`);
  }
}

/** What the emulator cannot take goes: images, for which it has no registry, and references to what it passes over. */
function adapt(output: string, templates: readonly Template[]): readonly string[] {
  let images = 0;
  for (const name of readdirSync(output).filter((each) => each.endsWith('.assets.json'))) {
    rewrite(path.join(output, name), (assets) => {
      images += Object.keys(assets['dockerImages'] ?? {}).length;
      return { ...assets, dockerImages: {} };
    });
  }
  const replaced = new Set<string>();
  for (const { file, content } of templates) {
    rewrite(file, (template) => withoutPassedOver(template, content, replaced));
  }
  return [
    ...(images === 0 ? [] : [`left out, for the emulator has no registry: ${images} image assets`]),
    ...[...replaced].map((type) => `replaced by text, for the emulator passes it over: references to ${type}`),
  ];
}

function withoutPassedOver(value: unknown, template: Template['content'], replaced: Set<string>): unknown {
  if (Array.isArray(value)) return value.map((each) => withoutPassedOver(each, template, replaced));
  if (typeof value !== 'object' || value === null) return value;
  const { Ref, 'Fn::GetAtt': attribute } = value as { Ref?: string; 'Fn::GetAtt'?: readonly string[] };
  const id = Ref ?? attribute?.[0];
  const type = id === undefined ? undefined : template.Resources?.[id]?.Type;
  const isUnknown = attribute !== undefined && UNKNOWN_ATTRIBUTES.includes(attribute[1]!);
  if (type !== undefined && (PASSED_OVER.includes(type) || isUnknown)) {
    replaced.add(isUnknown ? `${attribute[1]} of ${type}` : type);
    return `${id} of ${type}`;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, withoutPassedOver(each, template, replaced)]),
  );
}

/** A resource that is in the template and not in the emulator is nobody's mistake. */
function limitOfEmulator({ message }: Error, templates: readonly Template[]): SkippedStep | undefined {
  const id = /references undefined resource (\w+)/.exec(message)?.[1];
  const resource = templates.map(({ content }) => content.Resources?.[id ?? '']).find((each) => each !== undefined);
  if (resource === undefined) return undefined;
  return new SkippedStep(`the emulator makes no ${resource.Type}, and something refers to ${id}`);
}

function rewrite(file: string, change: (content: Record<string, unknown>) => unknown): void {
  writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>)));
}
