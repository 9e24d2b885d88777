import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pushImage, readImagePin } from '../../runtime/image';
import { planBuild } from '../../runtime/image/build-image';
import { IMAGE_PIN_FILE, writeImagePin } from '../../runtime/image/image-pin';
import { writeFileSync } from 'node:fs';

const CPU = path.resolve(__dirname, '../../containers/cpu');
const CUDA = path.resolve(__dirname, '../../containers/cuda');
const PINNED = `docker.io/library/node:24-slim@sha256:${'12'.repeat(32)}`;
const PINNED_CUDA = `docker.io/nvidia/cuda:12@sha256:${'34'.repeat(32)}`;
const SHA256 = '56'.repeat(32);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'slipway-pin-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the base of an image', () => {
  test('is the tag that the Dockerfile names, reported as unpinned', () => {
    const { request, unpinned } = planBuild({ context: CPU, directory });
    expect(request.buildArguments).toEqual({ BASE_IMAGE: 'docker.io/library/node:24-slim' });
    expect(unpinned).toEqual(['docker.io/library/node:24-slim']);
  });

  test('is what slipway.image.json records, and then nothing is unpinned', () => {
    writeImagePin(directory, { baseImage: PINNED });
    const { request, unpinned } = planBuild({ context: CPU, directory });
    expect(request.buildArguments['BASE_IMAGE']).toBe(PINNED);
    expect(unpinned).toEqual([]);
  });

  test('is what the caller names, before the recorded one', () => {
    writeImagePin(directory, { baseImage: PINNED });
    const { request } = planBuild({ context: CPU, directory, baseImage: 'mine:1' });
    expect(request.buildArguments['BASE_IMAGE']).toBe('mine:1');
  });

  test('of a CUDA image is two images and a recorded SHA-256', () => {
    expect(planBuild({ variant: 'cuda', context: CUDA, directory }).unpinned).toHaveLength(2);
    writeImagePin(directory, { baseImage: PINNED, cudaImage: PINNED_CUDA, cudaSha256: SHA256 });
    const { request, unpinned } = planBuild({ variant: 'cuda', context: CUDA, directory });
    expect(request.buildArguments).toEqual({
      BASE_IMAGE: PINNED,
      CUDA_IMAGE: PINNED_CUDA,
      ONNXRUNTIME_CUDA_SHA256: SHA256,
    });
    expect(unpinned).toEqual([]);
  });

  test('of a CPU image ignores what is recorded for CUDA', () => {
    writeImagePin(directory, { baseImage: PINNED, cudaImage: PINNED_CUDA, cudaSha256: SHA256 });
    expect(planBuild({ context: CPU, directory }).request.buildArguments).toEqual({ BASE_IMAGE: PINNED });
  });
});

test('a CUDA image for arm64 is refused, because ONNX Runtime publishes no provider for it', () => {
  expect(() => planBuild({ variant: 'cuda', context: CUDA, directory, platforms: ['linux/arm64'] })).toThrow(
    "ARGUMENT_INVALID platform: the cuda image is built for linux/amd64, got 'linux/arm64'",
  );
});

describe('slipway.image.json', () => {
  test('keeps what it recorded when something else is pinned', () => {
    writeImagePin(directory, { baseImage: PINNED });
    writeImagePin(directory, { cudaSha256: SHA256 });
    expect(readImagePin(directory)).toEqual({ baseImage: PINNED, cudaSha256: SHA256 });
  });

  test('never holds an image without a digest', () => {
    expect(() => writeImagePin(directory, { baseImage: 'docker.io/library/node:24-slim' })).toThrow(
      /PIN_INVALID .*slipway\.image\.json: baseImage must be an image with its digest.*got "docker\.io/,
    );
    expect(readImagePin(directory)).toEqual({});
  });

  test.each([
    ['not JSON', '{', 'must be JSON'],
    ['a list', '[]', 'must be an object, got []'],
    ['a misspelt field', '{"baseimage":"x"}', "has no field 'baseimage', it may hold baseImage, cudaImage"],
    ['a short SHA-256', '{"cudaSha256":"ab"}', 'cudaSha256 must be 64 lower-case hexadecimal digits, got "ab"'],
  ])('with %s is refused with the reason', (_what, text, message) => {
    writeFileSync(path.join(directory, IMAGE_PIN_FILE), text);
    expect(() => planBuild({ context: CPU, directory })).toThrow(message);
  });
});

test.each([
  'https://registry.example/slipway',
  'registry.example/slipway:latest',
  'slipway',
  'registry.example/Slipway',
])('pushing to %s is refused before anything is built', async (uri) => {
  await expect(pushImage(uri, { context: CPU, directory })).rejects.toThrow(
    `must be <registry>/<name> in lower case, without tag, digest or scheme, got '${uri}'`,
  );
});
