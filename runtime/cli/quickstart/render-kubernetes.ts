import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { renderYaml } from '../render-yaml';
import { renderService } from '../service-objects';
import type { Deployment, DeploymentRequest } from './deployments';
import { shellWord } from './shell-word';

// Names that nobody can own (RFC 2606): what a reader has to fill in must not look like something that is there.
const IMAGE = 'registry.example/slipway';
const MODEL_REPOSITORY = 's3://bucket.example/models';

/** The same service as plain Kubernetes objects, and the spec file that `slipway plan` and `slipway render` read. */
export function renderKubernetes({ directory, spec, modelFolder }: DeploymentRequest): Deployment {
  mkdirSync(directory, { recursive: true });
  const manifest = path.relative(directory, path.join(modelFolder, 'manifest.json'));
  const specFile = path.join(directory, 'service.yaml');
  writeFileSync(specFile, stringify({ ...spec, models: [{ manifest }] }));

  const { inOrder } = renderService({ spec, kubernetes: { image: IMAGE, modelRepository: MODEL_REPOSITORY } });
  const yaml = renderYaml(inOrder);
  const file = path.join(directory, 'objects.yaml');
  writeFileSync(file, `${yaml}\n`);
  return {
    engine: 'Kubernetes',
    resources: inOrder.length,
    file,
    note: 'its image and model repository are examples; the command takes yours',
    next: [
      `npx slipway render ${shellWord(specFile)} \\`,
      '  --image <image> --model-repository <uri> | kubectl apply -f -',
    ],
  };
}
