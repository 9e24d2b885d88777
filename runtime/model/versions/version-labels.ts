import { modelPrefix, VERSION_LABELS_FILE } from '../../spec/model-repository';
import type { ModelStore } from '../model-store';
import { PublishError } from '../publish-error';

/** One change of a label. */
export interface LabelChange {
  readonly label: string;
  readonly version: number;
  /** What the label named before. @default - nothing */
  readonly from?: number;
  /** Set where the label went back. */
  readonly rollback?: true;
  /** ISO 8601, in UTC. */
  readonly at: string;
}

/** `version-labels.json`: what servers go by, and beside it how it came to be. */
export interface VersionLabels {
  readonly labels: Readonly<Record<string, number>>;
  readonly weights?: Readonly<Record<string, number>>;
  readonly history: readonly LabelChange[];
}

export interface LabelsInStore {
  readonly file: VersionLabels;
  /** @default - there is no file */
  readonly tag?: string;
}

const LABEL = /^[A-Za-z0-9_]{1,64}$/;
/** Servers read no more than a mebibyte, and nobody goes back further. */
const MAX_HISTORY = 200;

/** @throws PublishError LABELS_INVALID */
export function assertLabel(label: string): void {
  if (LABEL.test(label)) return;
  throw new PublishError('LABELS_INVALID', 'label', `must be 1 to 64 letters, digits or underscores, got '${label}'`);
}

/** Labels of a model; none where it has no file of them. @throws PublishError LABELS_INVALID, REPOSITORY_UNREACHABLE */
export async function readLabels(store: ModelStore, model: string): Promise<LabelsInStore> {
  const path = modelPrefix(model) + VERSION_LABELS_FILE;
  const there = await store.read(path);
  if (there === undefined) return { file: { labels: {}, history: [] } };
  return { file: parse(there.content.toString('utf8'), store.uri + path), tag: there.tag };
}

/** @returns false when somebody else was faster */
export function writeLabels(
  store: ModelStore,
  model: string,
  { history, ...file }: VersionLabels,
  tag: string | undefined,
): Promise<boolean> {
  const content = `${JSON.stringify({ ...file, history: history.slice(-MAX_HISTORY) }, undefined, 2)}\n`;
  return store.replace(modelPrefix(model) + VERSION_LABELS_FILE, Buffer.from(content), tag);
}

/** Versions that a label has named, oldest first: what it names now is the last; going back takes the last away. */
export function pathOf(label: string, { labels, history }: VersionLabels): readonly number[] {
  const path: number[] = [];
  for (const change of history.filter((each) => each.label === label)) {
    if (path.length === 0 && change.from !== undefined) path.push(change.from);
    if (change.rollback) path.pop();
    if (path.at(-1) !== change.version) path.push(change.version);
  }
  const current = Object.hasOwn(labels, label) ? labels[label] : undefined;
  // Somebody has written the file by hand.
  if (current !== undefined && path.at(-1) !== current) path.push(current);
  return path;
}

function parse(text: string, where: string): VersionLabels {
  const refuse = (what: string): never => {
    throw new PublishError('LABELS_INVALID', where, `${what}; mend or remove it`);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refuse(`must be JSON: ${(error as Error).message}`);
  }
  if (!isRecord(value)) return refuse('must be an object with labels');
  const { labels = {}, weights, history = [] } = value;
  if (!isVersions(labels)) return refuse('labels must name versions, whole numbers from 1 up');
  if (weights !== undefined && !isRecord(weights)) return refuse('weights must be an object');
  if (!Array.isArray(history) || !history.every(isChange)) return refuse('history must be a list of changes');
  return {
    labels,
    ...(weights === undefined ? {} : { weights: weights as Record<string, number> }),
    history,
  };
}

function isVersions(value: unknown): value is Record<string, number> {
  return isRecord(value) && Object.values(value).every(isVersion);
}

function isChange(value: unknown): value is LabelChange {
  if (!isRecord(value)) return false;
  const { label, version, from, at } = value;
  return (
    typeof label === 'string' && isVersion(version) && (from === undefined || isVersion(from)) && typeof at === 'string'
  );
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
