import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CliError } from '../cli-error';
import { freePort, LocalServer } from '../local-server';
import { installedServer } from '../serve';
import {
  askForGolden,
  folderUri,
  proveModel,
  referenceTo,
  waitUntilServed,
  type AskedModel,
  type ProvenModel,
} from './proven-models';
import { passed, SkippedStep, type Outcome } from './step';

const START_SECONDS = 300;

/** Serves every model here, with the server of the image, and asks each for its golden output. */
export async function predict(models: readonly AskedModel[]): Promise<Outcome> {
  return withProvenModels(models, async (proven, notes, scratch) => {
    const port = await freePort(0);
    const server = new LocalServer({
      bundle: bundle(),
      httpPort: port,
      logFile: path.join(scratch, 'server.log'),
      environment: {
        SLIPWAY_MODELS: JSON.stringify(proven.map((model) => referenceTo(model, folderUri(model)))),
        SLIPWAY_HTTP_PORT: String(port),
        SLIPWAY_GRPC_PORT: '0',
        SLIPWAY_METRICS_PORT: '0',
        SLIPWAY_DEREGISTRATION_LAG_SECONDS: '0',
      },
    });
    try {
      // A server that has ended says why in its log.
      const ended = server.waitForEnd().then(() => server.waitUntilReady(1));
      ended.catch(() => undefined);
      await Promise.race([waitUntilServed(server.url, START_SECONDS), ended]);
      for (const model of proven) await askForGolden(server.url, model);
    } finally {
      server.stop();
      await server.waitForEnd();
    }
    const names = proven.map(({ manifest }) => `${manifest.name} version ${manifest.version}`);
    return passed(`the golden input gives the golden output: ${names.join(', ')}`, notes);
  });
}

/** Proves models in a folder that goes afterwards. @throws SkippedStep where none can be asked */
export async function withProvenModels(
  models: readonly AskedModel[],
  use: (proven: readonly ProvenModel[], notes: readonly string[], scratch: string) => Promise<Outcome>,
): Promise<Outcome> {
  if (models.length === 0)
    throw new SkippedStep('no model is known by its file or its manifest; give one with --model');
  const scratch = mkdtempSync(path.join(tmpdir(), 'slipway-verify-models-'));
  try {
    const results: (ProvenModel | string)[] = [];
    for (const model of models) results.push(await proveModel(model, path.join(scratch, 'repository')));
    const notes = results.filter((each) => typeof each === 'string');
    const proven = results.filter((each) => typeof each !== 'string');
    if (proven.length === 0) throw new SkippedStep(notes.join('; '));
    return await use(proven, notes, scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function bundle(): string {
  try {
    return installedServer();
  } catch (error) {
    if (error instanceof CliError) throw new SkippedStep(error.message);
    throw error;
  }
}
