import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { assertSucceeded, runPulumiProgram } from '../../testing';
import type { Deployment, DeploymentRequest } from './deployments';
import { shellWord } from './shell-word';

const PROGRAM_FILES = ['Pulumi.yaml', 'index.ts', 'tsconfig.json'];

/**
 * The same service with Pulumi, on an EKS cluster: a program that is there to be used, run as `pulumi preview` would
 * run it, with no CLI and no account.
 */
export async function previewPulumi({ root, directory, spec, modelFolder }: DeploymentRequest): Promise<Deployment> {
  mkdirSync(directory, { recursive: true });
  for (const name of PROGRAM_FILES) {
    copyFileSync(path.join(root, 'runtime/cli/quickstart/pulumi-program', name), path.join(directory, name));
  }
  writeFileSync(
    path.join(directory, 'service.json'),
    `${JSON.stringify({ ...spec, models: undefined }, undefined, 2)}\n`,
  );
  copyFileSync(path.join(modelFolder, 'manifest.json'), path.join(directory, 'digits.manifest.json'));

  const { resources } = assertSucceeded(
    await runPulumiProgram({
      directory,
      preview: true,
      // The types of this very program are checked with everything else; here they would only take time.
      typeCheck: false,
      // No image is pushed yet: any digest shows what a pushed one would bring.
      config: { clusterName: 'platform', imageDigest: `sha256:${'0'.repeat(64)}` },
      onInvoke: ({ token }) => (token === 'aws:index/getPartition:getPartition' ? { partition: 'aws' } : undefined),
    }),
  );
  const listed = resources.map(({ type, name, urn, parent }) => ({ type, name, urn, parent }));
  const file = path.join(directory, 'resources.json');
  writeFileSync(file, `${JSON.stringify(listed, undefined, 2)}\n`);
  return {
    engine: 'Pulumi',
    // Components and providers group resources; what is created is the rest.
    resources: resources.filter(({ custom, type }) => custom && !type.startsWith('pulumi:')).length,
    file,
    note: 'on an EKS cluster of yours; the first up makes bucket and image repository',
    next: [
      `cd ${shellWord(directory)} && pulumi stack init dev \\`,
      '  && pulumi config set clusterName <your EKS cluster> && pulumi up',
    ],
  };
}
