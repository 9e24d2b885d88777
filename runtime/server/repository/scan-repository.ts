import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { SpecError } from '../../spec/errors';
import { readModelConfiguration, type ModelConfiguration, type VersionPolicy } from '../../spec/model-configuration';
import {
  assertModelName,
  CONFIGURATION_FILES,
  MANIFEST_FILE,
  MODEL_FILE,
  parseVersionFolder,
  VERSION_LABELS_FILE,
} from '../../spec/model-repository';
import type { Asking } from '../find-models';
import { SourceError, type ModelSource } from '../../sources/model-source';
import { retry } from '../retry';
import { childUri, sourceOf } from '../../sources/source-of';
import { readSmallFile } from './read-small-file';
import { assertLabelRules, NO_LABELS, parseLabelRules, type LabelRules } from './version-labels';
import { selectVersions } from './version-policy';

/** One model of a model repository, as it lies there now. */
export interface FoundModel {
  readonly name: string;
  /** With a closing slash. */
  readonly folder: string;
  readonly labels: LabelRules;
  readonly configuration?: ModelConfiguration;
  /** The text that the configuration was read from. */
  readonly configurationText: string;
  /** To serve, newest first: those that the version policy or a label asks for, and that are complete as far as one sees. */
  readonly versions: readonly FoundVersion[];
  /** What may take the place of versions that cannot be served. */
  readonly fallback: Fallback;
  /** Asked for, and not to be served for a reason that does not lie in their files. */
  readonly refused: readonly { readonly version: number; readonly reason: string }[];
}

/** Only the newest versions have substitutes: those that a policy or a label names are asked for themselves. */
export interface Fallback {
  /** Versions that the policy `latest` has chosen. */
  readonly replaceable: readonly number[];
  /** Older ones, newest first. */
  readonly substitutes: readonly FoundVersion[];
}

export const NO_FALLBACK: Fallback = { replaceable: [], substitutes: [] };

export interface FoundVersion {
  readonly version: number;
  /** With a closing slash. */
  readonly folder: string;
  /** The file in it that holds the model. */
  readonly modelFile: string;
  /** Whether it was published: its files are known by their digests. */
  readonly hasManifest: boolean;
}

export interface ScanOptions {
  /** For models that bring none of their own. */
  readonly versionPolicy: VersionPolicy;
  readonly asking: Asking;
  /** Takes a model that cannot be read, so that the others can be. @default - one such model fails the whole scan */
  readonly onUnreadable?: (name: string, error: SourceError) => void;
  /** Configurations that take the place of what lies beside the versions, by model. @default - none */
  readonly overrides?: ReadonlyMap<string, string>;
}

const MAX_TEXT_BYTES = 1 << 20;

/**
 * Every model of a repository with the versions to serve. Folders that hold no model are left out.
 * @throws SourceError
 */
export async function scanRepository(repository: string, options: ScanOptions): Promise<readonly FoundModel[]> {
  const uri = repositoryUri(repository);
  const source = sourceOf(uri);
  const entries = await list(source, uri, options.asking);
  const isOurs = (name: string): boolean => !name.startsWith('.') && name !== LOST_AND_FOUND;
  const names = entries.filter(({ name, isFolder }) => isFolder && isOurs(name)).map(({ name }) => name);
  const found = await Promise.all(names.map((name) => scanReadable(repository, name, options)));
  return found.filter((model) => model !== undefined);
}

async function scanReadable(repository: string, name: string, options: ScanOptions): Promise<FoundModel | undefined> {
  try {
    return await scanModel(repository, name, options);
  } catch (error) {
    if (options.onUnreadable === undefined || !(error instanceof SourceError)) throw error;
    options.onUnreadable(name, error);
    return undefined;
  }
}

/**
 * One model of a repository; undefined when its folder holds none.
 * @throws SourceError, also when there is no such folder; SpecError for a folder whose name no model can have.
 */
export async function scanModel(
  repository: string,
  name: string,
  options: ScanOptions,
): Promise<FoundModel | undefined> {
  const uri = repositoryUri(repository);
  const source = sourceOf(uri);
  const folder = `${childUri(uri, name)}/`;
  const entries = await list(source, folder, options.asking);
  const files = new Set(entries.filter(({ isFolder }) => !isFolder).map((entry) => entry.name));
  const present = entries.filter(({ isFolder }) => isFolder).flatMap((entry) => parseVersionFolder(entry.name) ?? []);
  if (present.length === 0) return undefined;

  const override = options.overrides?.get(name);
  const text =
    override === undefined
      ? await readFirst(folder, CONFIGURATION_FILES, files, options.asking)
      : { file: 'config of the load request', text: override };
  let authored: Pick<FoundModel, 'labels' | 'configuration'>;
  try {
    authored = readAuthored(name, text, await readFirst(folder, [VERSION_LABELS_FILE], files, options.asking));
  } catch (error) {
    if (!SpecError.is(error)) throw error;
    const refused = [{ version: Math.max(...present), reason: error.message }];
    const none = { labels: NO_LABELS, versions: [], fallback: NO_FALLBACK };
    return { name, folder, ...none, configurationText: text?.text ?? '', refused };
  }
  const complete = await findComplete(source, folder, present, authored.configuration, options.asking);
  if (complete.length === 0) return undefined;
  assertModelName(name, folder);
  const chosen = choose(complete, authored, options.versionPolicy);
  return { name, folder, ...authored, configurationText: text?.text ?? '', ...chosen };
}

/** A plain path is a directory, taken from where the server was started. */
export function repositoryUri(repository: string): string {
  const uri = /^[a-z][a-z0-9+.-]*:\/\//i.test(repository) ? repository : pathToFileURL(path.resolve(repository)).href;
  return uri.endsWith('/') ? uri : `${uri}/`;
}

interface AuthoredText {
  readonly file: string;
  readonly text: string;
}

async function readFirst(
  folder: string,
  names: readonly string[],
  present: ReadonlySet<string>,
  { signal, onRetry }: Asking,
): Promise<AuthoredText | undefined> {
  const file = names.find((name) => present.has(name));
  if (file === undefined) return undefined;
  const bytes = await retry(() => readSmallFile(childUri(folder, file), MAX_TEXT_BYTES, signal), signal, onRetry);
  return bytes === undefined ? undefined : { file, text: bytes.toString('utf8') };
}

/** @throws SpecError for what its author wrote and cannot mean. */
function readAuthored(
  name: string,
  text: AuthoredText | undefined,
  labelsText: AuthoredText | undefined,
): Pick<FoundModel, 'labels' | 'configuration'> {
  const labels = labelsText === undefined ? undefined : parseLabelRules(labelsText.text, `${name}/${labelsText.file}`);
  if (text === undefined) return { labels: labels ?? NO_LABELS };
  const file = `${name}/${text.file}`;
  const configuration = readModelConfiguration(text.text, file);
  if (configuration.name !== undefined && configuration.name !== name) {
    const message = `name must be the folder's, '${name}', or left out; got '${configuration.name}'`;
    throw new SpecError('MODEL_CONFIGURATION_MISMATCH', file, message);
  }
  const { versionLabels, weights } = configuration;
  return { configuration, labels: labels ?? assertLabelRules({ labels: versionLabels, weights }, file) };
}

/** Versions that hold a model and are published, as far as the listing shows it. */
async function findComplete(
  source: ModelSource,
  modelFolder: string,
  present: readonly number[],
  configuration: ModelConfiguration | undefined,
  asking: Asking,
): Promise<readonly FoundVersion[]> {
  const modelFile = configuration?.defaultModelFilename ?? MODEL_FILE;
  const candidates = await Promise.all(
    present.map(async (version) => {
      const folder = `${modelFolder}${version}/`;
      const files = (await list(source, folder, asking)).map((entry) => entry.name);
      // An ensemble's versions are empty folders.
      const hasModel = configuration?.ensemble !== undefined || files.includes(modelFile.split('/')[0]!);
      return { version, folder, modelFile, hasModel, hasManifest: files.includes(MANIFEST_FILE) };
    }),
  );
  // The manifest is written last: beside published versions, one without it is still being written.
  const isPublished = candidates.some(({ hasManifest }) => hasManifest);
  return candidates
    .filter(({ hasModel, hasManifest }) => hasModel && (hasManifest || !isPublished))
    .map(({ version, folder, hasManifest }) => ({ version, folder, modelFile, hasManifest }));
}

function choose(
  complete: readonly FoundVersion[],
  { labels, configuration }: Pick<FoundModel, 'labels' | 'configuration'>,
  serverPolicy: VersionPolicy,
): Pick<FoundModel, 'versions' | 'fallback' | 'refused'> {
  const policy = configuration?.versionPolicy ?? serverPolicy;
  const present = complete.map(({ version }) => version);
  // A version with a label is asked for by name, whatever the policy keeps.
  const chosen = new Set([...selectVersions(policy, present), ...labels.labels.values()]);
  const versions = complete.filter(({ version }) => chosen.has(version)).sort((a, b) => b.version - a.version);
  if (versions.length > 0) {
    return { versions, fallback: fallbackOf(policy, complete, versions, labels), refused: [] };
  }
  const asked = policy.kind === 'specific' ? policy.versions : [];
  const reason = `the version policy asks for ${asked.join(', ')}, and complete are ${present.sort((a, b) => a - b).join(', ')}`;
  return { versions, fallback: NO_FALLBACK, refused: asked.slice(0, 1).map((version) => ({ version, reason })) };
}

function fallbackOf(
  policy: VersionPolicy,
  complete: readonly FoundVersion[],
  chosen: readonly FoundVersion[],
  { labels }: LabelRules,
): Fallback {
  if (policy.kind !== 'latest') return NO_FALLBACK;
  const labelled = new Set(labels.values());
  const replaceable = chosen.map(({ version }) => version).filter((version) => !labelled.has(version));
  const substitutes = complete.filter((version) => !chosen.includes(version));
  return { replaceable, substitutes: substitutes.sort((a, b) => b.version - a.version) };
}

function list(source: ModelSource, uri: string, { signal, onRetry }: Asking): ReturnType<ModelSource['list']> {
  return retry(() => source.list(uri, signal), signal, onRetry);
}

/** At the top of every ext4 volume, for root alone to read. */
const LOST_AND_FOUND = 'lost+found';
