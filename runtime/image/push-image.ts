import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { announceUnpinned, planBuild, runSteps, type BuildImageOptions } from './build-image';
import { findContainerTool } from './container-tool';
import { parsePushedDigest, pushSteps } from './image-commands';
import { packageVersion } from './image-context';
import { ImageError } from './image-error';

/** As for a build; the image repository gives the name, so `tag` is the tag alone. */
export interface PushImageOptions extends Omit<BuildImageOptions, 'tag'> {
  /** @default - `<version of this package>-<variant>` */
  readonly tag?: string;
}

/**
 * Builds a server image, pushes it and returns `<image repository>@sha256:…`, the one name that means this image for
 * ever. Logging in to the image repository is left to the tool (`docker login`, `podman login`, a credential helper).
 *
 * @param imageRepositoryUri without tag: `123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway`
 * @throws ImageError as for a build, and DIGEST_UNKNOWN when the tool told no digest: the tag is not handed out instead.
 */
export async function pushImage(imageRepositoryUri: string, options: PushImageOptions = {}): Promise<string> {
  assertImageRepository(imageRepositoryUri);
  const tag = `${imageRepositoryUri}:${options.tag ?? `${packageVersion()}-${options.variant ?? 'cpu'}`}`;
  const { request, unpinned } = planBuild({ ...options, tag });
  const tool = options.tool ?? (await findContainerTool());
  announceUnpinned(unpinned, options.log);

  const scratch = mkdtempSync(join(tmpdir(), 'slipway-push-'));
  try {
    const digestFile = join(scratch, 'digest');
    const { steps, digestIn } = pushSteps(tool, request, digestFile);
    const output = await runSteps(steps, options.log);
    const told = digestIn === 'output' ? output : existsSync(digestFile) ? readFileSync(digestFile, 'utf8') : '';
    const digest = parsePushedDigest(told);
    if (digest === undefined) {
      // buildah 1.28 was seen to end so when a registry refused it half-way.
      throw new ImageError(
        'DIGEST_UNKNOWN',
        tag,
        `${tool.name} ended its push without an error and without a digest; look into the image repository before using the tag`,
      );
    }
    return `${imageRepositoryUri}@${digest}`;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function assertImageRepository(uri: string): void {
  // A colon after the last slash would be a tag; one before it is the port of a registry.
  if (!/^[a-z0-9][a-zA-Z0-9.-]*(:[0-9]+)?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)+$/.test(uri)) {
    throw new ImageError(
      'ARGUMENT_INVALID',
      'image repository',
      `must be <registry>/<name> in lower case, without tag, digest or scheme, got '${uri}'`,
    );
  }
}
