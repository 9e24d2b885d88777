import { parseManifest, type ModelManifest } from '../spec/model-manifest';
import { askGolden, askZeros, type AskedModel } from './ask-model';
import { sendTo } from './http-request';
import { readFile, sha256Of } from './read-file';

/** What ECS takes as an answer. */
export interface Outcome {
  readonly hookStatus: 'SUCCEEDED' | 'FAILED';
}

/** A model as the deployment describes it, in the variable `MODELS`. */
interface DescribedModel extends AskedModel {
  /** The version's folder, which holds its manifest; or `files` where each file lies by itself. */
  readonly folder?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly manifestSha256?: string;
}

const MANIFEST = 'manifest.json';
/** While targets are registered, a load balancer has nobody to ask, and a replica may be full. */
const RETRIED = new Set([429, 502, 503, 504]);
const RETRY_MS = 1_000;

/**
 * Asks every model of the new revision for its golden output, or, without one, for any answer.
 * @param environment `TARGET`, the URL of the test listener, and `MODELS`.
 * @param signal Ends it: what has not answered by then has failed.
 */
export async function smokeTest(
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<Outcome> {
  const url = environment['TARGET']!;
  const models = JSON.parse(environment['MODELS']!) as readonly DescribedModel[];
  const failures: string[] = [];
  for (const model of models) {
    const failure = await ask(url, model, signal).then(
      () => undefined,
      (error: Error) => (signal.aborted ? 'no answer in the time that the test may take' : error.message),
    );
    log(JSON.stringify({ model: model.name, version: model.version, passed: failure === undefined, failure }));
    if (failure !== undefined) failures.push(model.name);
  }
  return { hookStatus: failures.length === 0 ? 'SUCCEEDED' : 'FAILED' };
}

async function ask(url: string, model: DescribedModel, signal: AbortSignal): Promise<void> {
  const manifest = await readManifest(model, signal);
  const target = { url, send: sendTo(signal, { retried: RETRIED, afterMs: RETRY_MS }) };
  if (manifest?.golden === undefined) return askZeros(target, model);
  const digests = new Map(manifest.files.map(({ path, sha256 }) => [path, sha256]));
  return askGolden(target, model, manifest.golden, async (path) => {
    const bytes = await readFile(uriOf(model, path)!, signal);
    assertDigest(path, bytes, digests.get(path));
    return bytes;
  });
}

async function readManifest(model: DescribedModel, signal: AbortSignal): Promise<ModelManifest | undefined> {
  const uri = uriOf(model, MANIFEST);
  if (uri === undefined) return undefined;
  const bytes = await readFile(uri, signal);
  assertDigest(MANIFEST, bytes, model.manifestSha256);
  return parseManifest(new TextDecoder().decode(bytes), uri);
}

function uriOf({ folder, files }: DescribedModel, path: string): string | undefined {
  return folder === undefined ? files?.[path] : `${folder}${path}`;
}

function assertDigest(path: string, bytes: Uint8Array, expected: string | undefined): void {
  const got = sha256Of(bytes);
  if (expected !== undefined && got !== expected) {
    throw new Error(`${path} hashes to ${got}, and the deployment names ${expected}`);
  }
}
