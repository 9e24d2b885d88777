import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { parseManifest } from '../spec/model-manifest';
import { missingEvidence } from '../spec/missing-evidence';
import { MANIFEST_FILE, versionPrefix } from '../spec/model-repository';
import type { FileModel, ServiceFile } from './spec-file';

/** What a model version of a service has of the evidence that the service asks for. */
export interface EvidenceFacts {
  readonly model: string;
  readonly version: number;
  /** Where its manifest was looked for. */
  readonly place: string;
  /** What it lacks, as the end of a sentence. @default - nothing */
  readonly missing?: string;
  /** Why nobody can tell. @default - its manifest was read */
  readonly unreadable?: string;
  /** Whether its evaluation must be of what users send. */
  readonly hasPreprocessing?: boolean;
}

/** A bucket whose credentials nobody has may be asked for them for a long time. */
const TIMEOUT_MS = 30_000;

/**
 * Looks for the evidence of every model of a service that requires it: in the manifest beside the spec file, else in the model
 * repository.
 * @param reach `local` leaves out what only an account, or a network, gives
 */
export async function collectEvidence(
  { spec, kubernetes }: ServiceFile,
  reach: 'local' | 'everywhere',
): Promise<readonly EvidenceFacts[]> {
  if (spec.requireEvidence !== true) return [];
  const { canary, shadow } = kubernetes;
  const models = [...spec.models, ...(canary?.models ?? []), ...(shadow?.models ?? [])];
  const facts = await Promise.all(models.map((model) => factsOf(model, kubernetes.modelRepository, reach)));
  return facts.filter((each) => each !== undefined);
}

async function factsOf(
  model: FileModel,
  modelRepository: string | undefined,
  reach: 'local' | 'everywhere',
): Promise<EvidenceFacts | undefined> {
  const { name, version, manifest, mount, repositoryUri = modelRepository } = model;
  const own = { model: name, version };
  if (manifest !== undefined)
    return { ...own, place: manifest, ...(await judge(() => readFile(manifest, 'utf8'), manifest)) };
  if (mount !== undefined || repositoryUri === undefined) {
    const unreadable =
      mount === undefined
        ? 'nobody says where it lies: give models[].manifest, or a model repository'
        : 'it comes as a volume: give models[].manifest, too';
    return reach === 'local' ? undefined : { ...own, place: mount === undefined ? 'nowhere' : 'a volume', unreadable };
  }
  const isLocal = !/^[a-z][a-z0-9+.-]+:/i.test(repositoryUri) || repositoryUri.startsWith('file:');
  if (reach === 'local' && !isLocal) return undefined;
  const folder = versionPrefix(name, version);
  const place = `${repositoryUri.replace(/\/$/, '')}/${folder}${MANIFEST_FILE}`;
  const read = async (): Promise<string | undefined> => {
    const { openModelStore } = await import('../model/open-model-store.js');
    const store = await openModelStore(repositoryUri);
    return (await store.read(folder + MANIFEST_FILE))?.content.toString('utf8');
  };
  return { ...own, place, ...(await judge(() => withinTime(read), place)) };
}

async function judge(
  read: () => Promise<string | undefined>,
  place: string,
): Promise<Pick<EvidenceFacts, 'missing' | 'unreadable' | 'hasPreprocessing'>> {
  const { publishedPreprocessingDigest } = await import('../preprocess/preprocessing-digest.js');
  try {
    const text = await read();
    const manifest = text === undefined ? undefined : parseManifest(text, place);
    const missing = missingEvidence(manifest, { preprocessingSha256: publishedPreprocessingDigest });
    return {
      ...(missing === undefined ? {} : { missing }),
      hasPreprocessing: manifest?.preprocessing !== undefined,
    };
  } catch (error) {
    return { unreadable: (error as Error).message };
  }
}

async function withinTime<T>(read: () => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = setTimeout(TIMEOUT_MS, undefined, { signal: stop.signal, ref: false }).then(() => {
    throw new Error(`does not answer within ${TIMEOUT_MS / 1_000} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([read(), late]);
  } finally {
    stop.abort();
  }
}

/** The commands that make what is missing; what stands in capitals is the author's to fill in. */
export function remedyFor({ model, hasPreprocessing }: EvidenceFacts): string {
  const preprocessing = hasPreprocessing === true ? ' --preprocessing PREPROCESSING' : '';
  return (
    `slipway model evaluate MODEL.onnx --data ROWS --task classification --min-accuracy 95%${preprocessing} --report evaluation.json, then ` +
    `slipway model publish MODEL.onnx REPOSITORY --name ${model} --evaluation evaluation.json${preprocessing}, and name the version that it prints`
  );
}
