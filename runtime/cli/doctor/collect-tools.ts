import { execFile } from 'node:child_process';
import type { ToolFacts } from './facts';

const TIMEOUT_MS = 20_000;
const IMAGE_BUILDERS = ['docker', 'podman', 'buildah'] as const;

/** Asks each program for its version; nothing else is done with it. */
export async function collectTools(): Promise<ToolFacts> {
  const [kubectl, pulumi, ...builders] = await Promise.all([
    versionFrom('kubectl', ['version', '--client', '-o', 'json'], /"gitVersion": "v?([^"]+)"/),
    versionFrom('pulumi', ['version'], /v?(\d+\.\d+\.\d+\S*)/),
    ...IMAGE_BUILDERS.map((builder) => versionFrom(builder, ['--version'], /(\d+\.\d+(\.\d+)?\S*)/)),
  ]);
  const i = builders.findIndex((version) => version !== undefined);
  return {
    node: process.versions.node,
    ...(kubectl === undefined ? {} : { kubectl }),
    ...(pulumi === undefined ? {} : { pulumi }),
    ...(i < 0 ? {} : { imageBuilder: `${IMAGE_BUILDERS[i]!} ${builders[i]!.replace(/,$/, '')}` }),
  };
}

function versionFrom(program: string, args: readonly string[], pattern: RegExp): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' }, (error, stdout) => {
      resolve(error === null ? pattern.exec(stdout)?.[1] : undefined);
    });
  });
}
