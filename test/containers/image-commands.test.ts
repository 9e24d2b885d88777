import { describe, expect, test } from 'vitest';
import type { ContainerTool } from '../../runtime/image';
import { buildSteps, parsePushedDigest, pushSteps, type BuildRequest } from '../../runtime/image/image-commands';
import { formatCommand } from '../../runtime/image/run-command';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const docker: ContainerTool = { name: 'docker', buildx: true };
const podman: ContainerTool = { name: 'podman', buildx: false };
const buildah: ContainerTool = { name: 'buildah', buildx: false };

const request: BuildRequest = {
  context: '/package/dist/image/cpu',
  tag: 'registry.example/team/slipway:1.2.3',
  platforms: ['linux/amd64'],
  buildArguments: { BASE_IMAGE: 'docker.io/library/node:24-slim' },
  buildPlatform: 'linux/amd64',
  toolArguments: ['--network', 'host'],
};
const severalPlatforms: BuildRequest = { ...request, platforms: ['linux/amd64', 'linux/arm64'] };

function lines(steps: ReturnType<typeof buildSteps>): string[] {
  return steps.map(({ command, optional }) => `${formatCommand(command)}${optional ? ' (may fail)' : ''}`);
}

describe('building for one platform', () => {
  test('docker builds with BuildKit and without attestations', () => {
    const steps = buildSteps(docker, request);
    expect(lines(steps)).toEqual([
      'docker build --platform linux/amd64 --build-arg BASE_IMAGE=docker.io/library/node:24-slim --network host ' +
        '--tag registry.example/team/slipway:1.2.3 /package/dist/image/cpu',
    ]);
    expect(steps[0]?.command.environment).toEqual({ DOCKER_BUILDKIT: '1', BUILDX_NO_DEFAULT_ATTESTATIONS: '1' });
  });

  test('podman keeps the health check by the docker format and is told the build platform', () => {
    expect(lines(buildSteps(podman, request))).toEqual([
      'podman build --format docker --build-arg BUILDPLATFORM=linux/amd64 --platform linux/amd64 ' +
        '--build-arg BASE_IMAGE=docker.io/library/node:24-slim --network host ' +
        '--tag registry.example/team/slipway:1.2.3 /package/dist/image/cpu',
    ]);
  });

  test('buildah does the same with bud', () => {
    const [podmanLine, buildahLine] = [podman, buildah].map((tool) => lines(buildSteps(tool, request))[0]);
    expect(buildahLine).toBe(podmanLine?.replace(/^podman build/, 'buildah bud'));
  });
});

describe('building for several platforms', () => {
  test('podman and buildah make a manifest list, after forgetting the one of an earlier build', () => {
    for (const tool of [podman, buildah]) {
      const [forget, build] = lines(buildSteps(tool, severalPlatforms));
      expect(forget).toBe(`${tool.name} manifest rm registry.example/team/slipway:1.2.3 (may fail)`);
      expect(build).toContain('--platform linux/amd64,linux/arm64');
      // Its layer cache takes a layer of one platform for the same step of another.
      expect(build).toContain('--no-cache');
      expect(build).toContain('--manifest registry.example/team/slipway:1.2.3 /package/dist/image/cpu');
      expect(build).not.toContain('--tag');
    }
  });
});

describe('pushing', () => {
  test('docker pushes what it built and tells the digest in its output', () => {
    const { steps, digestIn } = pushSteps(docker, request, '/scratch/digest');
    expect(lines(steps).at(-1)).toBe('docker push registry.example/team/slipway:1.2.3');
    expect(digestIn).toBe('output');
  });

  test('docker builds and pushes several platforms in one go, because its storage may hold no index', () => {
    const { steps, digestIn } = pushSteps(docker, severalPlatforms, '/scratch/digest');
    expect(lines(steps)).toHaveLength(1);
    expect(lines(steps)[0]).toMatch(/^docker buildx build .*--push --metadata-file \/scratch\/digest/);
    expect(digestIn).toBe('digest file');
  });

  test('docker without buildx refuses several platforms and says what is missing', () => {
    expect(() => pushSteps({ name: 'docker', buildx: false }, severalPlatforms, '/scratch/digest')).toThrow(
      'ARGUMENT_INVALID platform: got linux/amd64,linux/arm64; docker builds several only with its buildx plugin',
    );
  });

  test.each([podman, buildah])('$name writes the digest into a file', (tool) => {
    const { steps, digestIn } = pushSteps(tool, request, '/scratch/digest');
    expect(lines(steps).at(-1)).toBe(
      `${tool.name} push --digestfile /scratch/digest registry.example/team/slipway:1.2.3 ` +
        'docker://registry.example/team/slipway:1.2.3',
    );
    expect(digestIn).toBe('digest file');
    expect(lines(pushSteps(tool, severalPlatforms, '/scratch/digest').steps).at(-1)).toMatch(
      new RegExp(`^${tool.name} manifest push --all --digestfile`),
    );
  });
});

describe('the digest of a push', () => {
  test('is read from a digest file, from the metadata of buildx and from the output of docker push', () => {
    const output = `The push refers to repository [registry.example/slipway]\n1.2.3: digest: ${DIGEST} size: 1234\n`;
    expect(parsePushedDigest(`${DIGEST}\n`)).toBe(DIGEST);
    expect(parsePushedDigest(JSON.stringify({ 'containerimage.digest': DIGEST }))).toBe(DIGEST);
    expect(parsePushedDigest(output)).toBe(DIGEST);
  });

  test('is not taken from the digest of a layer, from half a digest or from nothing', () => {
    expect(parsePushedDigest(`Copying blob ${DIGEST}\nwriting manifest\n`)).toBeUndefined();
    expect(parsePushedDigest('sha256:abcdef')).toBeUndefined();
    expect(parsePushedDigest('{"image.name":"slipway"}')).toBeUndefined();
    expect(parsePushedDigest('')).toBeUndefined();
  });
});
