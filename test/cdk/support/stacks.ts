import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Template } from 'aws-cdk-lib/assertions';
import {
  GpuInstanceGroup,
  GpuMachineImage,
  InferenceService,
  Model,
  RuntimeImage,
  type InferenceServiceProps,
} from 'slipway/cdk';
import { describe } from 'vitest';

const requireHere = createRequire(__filename);

/** Flags as `cdk init` sets them, and an app that sets none: a library keeps its promises in both. */
export const FLAGS = {
  recommended: JSON.parse(
    readFileSync(requireHere.resolve('aws-cdk-lib/recommended-feature-flags.json'), 'utf8'),
  ) as Record<string, unknown>,
  bare: {} as Record<string, unknown>,
} as const;

export const DIGITS = 'models/digits/model.onnx';
export const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

export function describeWithAndWithoutFlags(name: string, tests: (newStack: () => Stack) => void): void {
  for (const [set, context] of Object.entries(FLAGS)) {
    describe(`${name} (${set} flags)`, () => tests(() => newStack(context)));
  }
}

export function newStack(context: Record<string, unknown> = FLAGS.recommended): Stack {
  return new Stack(new App({ context, analyticsReporting: false }), 'Stack');
}

export function newCluster(stack: Stack): ecs.Cluster {
  const vpc = new ec2.Vpc(stack, 'Vpc', { maxAzs: 2, natGateways: 1, restrictDefaultSecurityGroup: false });
  return new ecs.Cluster(stack, 'Cluster', { vpc });
}

/** An image that needs no build: by digest, from a repository that exists. */
export function imageByDigest(stack: Stack, id = 'PinnedImages'): RuntimeImage {
  return RuntimeImage.fromRepository(ecr.Repository.fromRepositoryName(stack, id, 'slipway'), DIGEST);
}

export function newFargateService(
  stack: Stack,
  props: Partial<InferenceServiceProps> = { plaintextInsideVpc: true },
): InferenceService {
  return new InferenceService(stack, 'Digits', {
    cluster: props.cluster ?? newCluster(stack),
    image: imageByDigest(stack),
    models: [Model.fromAsset(DIGITS)],
    ...props,
  });
}

export function newGpuService(stack: Stack, props: Partial<InferenceServiceProps> = {}): InferenceService {
  const cluster = newCluster(stack);
  return new InferenceService(stack, 'Digits', {
    cluster,
    capacity: new GpuInstanceGroup(stack, 'L4', {
      cluster,
      instanceTypes: ['g6.xlarge', 'g5.xlarge'],
      machineImage: pinnedMachineImage(),
      maxSize: 10,
    }),
    image: imageByDigest(stack),
    models: [Model.fromAsset(DIGITS)],
    plaintextInsideVpc: true,
    ...props,
  });
}

/** What a production group asks for: an image that does not change by itself. */
export function pinnedMachineImage(): GpuMachineImage {
  return GpuMachineImage.amazonLinux2023({ pinnedParameter: '/team/gpu-image/2026-11-01' });
}

export interface Resource {
  readonly Type: string;
  // Whatever CloudFormation takes: the tests say what they expect of it.
  readonly Properties: any;
  readonly DependsOn?: readonly string[];
  readonly DeletionPolicy?: string;
  readonly UpdatePolicy?: any;
}

export function resourcesOf(template: Template, type: string): readonly (Resource & { readonly id: string })[] {
  return Object.entries(template.findResources(type)).map(([id, resource]) => ({ id, ...(resource as Resource) }));
}

export function theOnly(template: Template, type: string): Resource & { readonly id: string } {
  const found = resourcesOf(template, type);
  if (found.length !== 1)
    throw new Error(`expected one ${type}, found ${found.map(({ id }) => id).join(', ') || 'none'}`);
  return found[0]!;
}

/** The environment of the server container, by name. */
export function environmentOf(template: Template): Record<string, unknown> {
  const [container] = theOnly(template, 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions;
  return Object.fromEntries(
    container.Environment.map((row: { Name: string; Value: unknown }) => [row.Name, row.Value]),
  );
}

/** A folder that holds these files and is left to the operating system to remove. */
export function folderWith(files: Record<string, string | Uint8Array>): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-cdk-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}
