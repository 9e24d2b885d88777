import { join } from 'node:path';
import { CfnParameter, type App, type Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import { ImageRepository, RuntimeImage, type RuntimeImageAssetOptions } from 'slipway/cdk';
import { expect, test } from 'vitest';
import {
  describeWithAndWithoutFlags,
  DIGEST,
  folderWith,
  newFargateService,
  newGpuService,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';

const CONTEXT = folderWith({ Dockerfile: 'ARG BASE_IMAGE=node:24-slim\nFROM ${BASE_IMAGE}\n' });
const NO_PIN = folderWith({});
const PINNED = `docker.io/library/node:24-slim@${DIGEST}`;

/** What the CLI will be told to build when the stack is deployed. */
function dockerImageOf(stack: Stack): any {
  const assembly: any = (stack.node.root as App).synth();
  const [artifact] = assembly.artifacts.filter((each: any) => each.contents?.dockerImages !== undefined);
  const [image] = Object.values<any>(artifact.contents.dockerImages);
  return image.source;
}

function imageUri(template: Template): unknown {
  return theOnly(template, 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions[0].Image;
}

describeWithAndWithoutFlags('RuntimeImage', (newStack) => {
  test('has a name for those who run containers without ECS, the one that a service gets too', () => {
    const needs = { executionProvider: 'cpu', architecture: 'arm64', preset: 'development' } as const;
    const stack = newStack();
    const images = ecr.Repository.fromRepositoryName(stack, 'Images', 'slipway');
    const pushed = RuntimeImage.fromRepository(images, DIGEST).uri(stack, needs);
    expect(pushed).toEqual({ imageUri: images.repositoryUriForDigest(DIGEST), repository: images });

    const built = RuntimeImage.fromAsset({ context: CONTEXT, pinDirectory: NO_PIN }).uri(stack, needs);
    expect(stack.resolve(built.imageUri)).toEqual({ 'Fn::Sub': expect.stringMatching(/:[0-9a-f]{64}$/) });
    expect(dockerImageOf(stack).platform).toBe('linux/arm64');
  });

  function build(options: RuntimeImageAssetOptions = {}): Stack {
    const stack = newStack();
    const image = RuntimeImage.fromAsset({ context: CONTEXT, pinDirectory: NO_PIN, ...options });
    newFargateService(stack, { plaintextInsideVpc: true, preset: 'development', image });
    return stack;
  }

  test('is built for the processor of the machines, whatever processor builds it', () => {
    expect(dockerImageOf(build()).platform).toBe('linux/amd64');
  });

  test('is built on the base that slipway image pin recorded', () => {
    const pinDirectory = folderWith({ 'slipway.image.json': JSON.stringify({ baseImage: PINNED }) });
    expect(dockerImageOf(build({ pinDirectory })).dockerBuildArgs).toEqual({ BASE_IMAGE: PINNED });
    expect(dockerImageOf(build()).dockerBuildArgs ?? {}).toEqual({});
  });

  test('hands the npmrc of a private registry to the build as a secret', () => {
    const npmrc = join(folderWith({ npmrc: '//registry.example/:_authToken=t' }), 'npmrc');
    expect(dockerImageOf(build({ npmrc })).dockerBuildSecrets).toEqual({ npmrc: `src=${npmrc}` });
  });

  test('of a repository is named by its digest, and may be pulled from there alone', () => {
    const stack = newStack();
    const images = new ImageRepository(stack, 'Images');
    newFargateService(stack, { plaintextInsideVpc: true, image: images.imageByDigest(DIGEST) });
    const template = Template.fromStack(stack);
    expect(JSON.stringify(imageUri(template))).toContain(`@${DIGEST}`);
    const repository = theOnly(template, 'AWS::ECR::Repository').id;
    const [execution] = resourcesOf(template, 'AWS::IAM::Policy').filter(({ id }) => id.includes('ExecutionRole'));
    const pull = execution!.Properties.PolicyDocument.Statement.find((statement: any) =>
      [statement.Action].flat().includes('ecr:BatchGetImage'),
    );
    expect(pull.Resource).toEqual({ 'Fn::GetAtt': [repository, 'Arn'] });
  });

  test('may be a digest that only the deployment knows, and stays a digest', () => {
    const stack = newStack();
    const digest = new CfnParameter(stack, 'ImageDigest').valueAsString;
    const images = ecr.Repository.fromRepositoryName(stack, 'Images', 'slipway');
    newFargateService(stack, { plaintextInsideVpc: true, image: RuntimeImage.fromRepository(images, digest) });
    const uri = JSON.stringify(imageUri(Template.fromStack(stack)));
    expect(uri).toContain('/slipway@');
    expect(uri).toContain('{"Ref":"ImageDigest"}');
  });
});

test('is also taken as slipway image push prints it, the digest behind the repository', () => {
  const stack = newStack();
  const images = ecr.Repository.fromRepositoryName(stack, 'Images', 'slipway');
  const image = RuntimeImage.fromRepository(images, `registry.example/slipway@${DIGEST}`);
  newFargateService(stack, { plaintextInsideVpc: true, image });
  expect(JSON.stringify(imageUri(Template.fromStack(stack)))).toContain(`/slipway@${DIGEST}`);
  expect(JSON.stringify(imageUri(Template.fromStack(stack)))).not.toContain('registry.example');
});

test('a tag is refused, because it may name another image tomorrow', () => {
  const images = ecr.Repository.fromRepositoryName(newStack(), 'Images', 'slipway');
  for (const tag of ['latest', '0.1.0-cpu', 'sha256:abc', `slipway:${DIGEST}`, '']) {
    expect(() => RuntimeImage.fromRepository(images, tag)).toThrow('IMAGE_NOT_PINNED image: must be a digest');
  }
});

test('says that the base image is a tag: a warning in production, an information in development', () => {
  const said = (options: RuntimeImageAssetOptions, preset: 'production' | 'development'): number[] => {
    const stack = newStack();
    const image = RuntimeImage.fromAsset({ context: CONTEXT, pinDirectory: NO_PIN, ...options });
    newFargateService(stack, { plaintextInsideVpc: true, preset, image });
    const annotations = Annotations.fromStack(stack);
    const unpinned = ['/Stack/Digits', Match.stringLikeRegexp('unpinned-base-image')] as const;
    return [annotations.findWarning(...unpinned).length, annotations.findInfo(...unpinned).length];
  };
  expect(said({}, 'production')).toEqual([1, 0]);
  expect(said({}, 'development')).toEqual([0, 1]);
  expect(said({ baseImage: PINNED }, 'production')).toEqual([0, 0]);
});

test('a GPU service is built as the CUDA variant, with the digests that variant needs', () => {
  const stack = newStack();
  const image = RuntimeImage.fromAsset({
    context: CONTEXT,
    baseImage: PINNED,
    cudaImage: `docker.io/nvidia/cuda:12@${DIGEST}`,
    cudaSha256: '1'.repeat(64),
  });
  newGpuService(stack, { image });
  expect(dockerImageOf(stack).dockerBuildArgs).toEqual({
    BASE_IMAGE: PINNED,
    CUDA_IMAGE: `docker.io/nvidia/cuda:12@${DIGEST}`,
    ONNXRUNTIME_CUDA_SHA256: '1'.repeat(64),
  });
});

test('a GPU service with the CPU variant is refused', () => {
  const image = RuntimeImage.fromAsset({ context: CONTEXT, variant: 'cpu' });
  expect(() => newGpuService(newStack(), { image })).toThrow(
    "IMAGE_VARIANT image: the variant 'cpu' has no GPU provider",
  );
});

test('a recorded base that is no digest is refused', () => {
  const pinDirectory = folderWith({ 'slipway.image.json': JSON.stringify({ baseImage: 'node:24-slim' }) });
  const image = RuntimeImage.fromAsset({ context: CONTEXT, pinDirectory });
  expect(() => newFargateService(newStack(), { plaintextInsideVpc: true, image })).toThrow(
    /PIN_INVALID .*slipway\.image\.json: baseImage must be an image with its digest, .*got "node:24-slim"/,
  );
});

test('a build context without a Dockerfile is refused', () => {
  const image = RuntimeImage.fromAsset({ context: NO_PIN });
  expect(() => newFargateService(newStack(), { plaintextInsideVpc: true, image })).toThrow('Dockerfile');
});

describeWithAndWithoutFlags('An image in a file', (newStack) => {
  const tarball = join(folderWith({ 'server.tar': 'layers' }), 'server.tar');
  const needs = { executionProvider: 'cpu', architecture: 'amd64', preset: 'development' } as const;

  test('is pushed when the stack is deployed, and its service may pull it', () => {
    const stack = newStack();
    newFargateService(stack, { plaintextInsideVpc: true, image: RuntimeImage.fromTarball(tarball) });
    const template = Template.fromStack(stack);
    expect(imageUri(template)).toEqual({ 'Fn::Sub': expect.stringMatching(/:[0-9a-f]{64}$/) });
    const pullers = resourcesOf(template, 'AWS::IAM::Policy').filter(({ Properties }) =>
      JSON.stringify(Properties).includes('ecr:BatchGetImage'),
    );
    expect(pullers).toHaveLength(1);
    expect(dockerImageOf(stack)).toMatchObject({ executable: expect.arrayContaining(['sh', '-c']) });
  });

  test('of another processor than the machines is refused', () => {
    expect(() => RuntimeImage.fromTarball('arm.tar', { architecture: 'arm64' }).uri(newStack(), needs)).toThrow(
      'IMAGE_ARCHITECTURE image: arm.tar is for arm64 and the machines are amd64',
    );
  });
});

test('an image with a CUDA provider is not built for arm64, for which there is none', () => {
  const image = RuntimeImage.fromAsset({ context: CONTEXT, pinDirectory: NO_PIN });
  const needs = { executionProvider: 'cuda', architecture: 'arm64', preset: 'development' } as const;
  expect(() => image.uri(newStack(), needs)).toThrow(
    'IMAGE_ARCHITECTURE image: ONNX Runtime publishes no CUDA provider for arm64',
  );
});
