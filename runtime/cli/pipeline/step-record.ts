import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { digestPath } from '../../model/digest-path';
import { slipwayVersion } from '../../model/edit/slipway-version';
import { openModelStore } from '../../model/open-model-store';
import { filesNamedIn } from '../../model/preprocessing-file';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import type { StepCommand } from './step-command';

interface StepRecord {
  /** Of the command line and every file that it names. */
  readonly key: string;
  /** Of what it left. */
  readonly outputs: string;
}

const PREPROCESSING = '--preprocessing=';
const RECORD_FILE = 'step.json';
/** Has the key of a step that goes on where it ended, until it has ended well. */
const UNFINISHED_FILE = 'unfinished';

/** What would change if the step were run again: command line, version of Slipway, and bytes of each file that it names, or that its preprocessing names. */
export async function keyOfStep(step: StepCommand, argv: readonly string[], folder: string): Promise<string> {
  const inputs: [string, string][] = [];
  for (const place of argv.filter((word) => word !== step.repository).flatMap(placesIn)) {
    const file = path.resolve(folder, place);
    // What it leaves is named, too, and is there from the second time on.
    const isOwn = file === step.manifest || file.startsWith(`${step.folder}${path.sep}`);
    if (place !== '' && !isOwn && existsSync(file)) inputs.push([place, await digestOf(file)]);
  }
  const preprocessing = argv.find((word) => word.startsWith(PREPROCESSING))?.slice(PREPROCESSING.length);
  if (preprocessing !== undefined) inputs.push(...(await beside(path.resolve(folder, preprocessing))));
  return digestText(JSON.stringify([slipwayVersion(), argv, inputs]));
}

/** A tokenizer is named in the file, not in the command. */
async function beside(preprocessing: string): Promise<readonly [string, string][]> {
  // Whoever runs the step says what is wrong with it.
  const files = await filesNamedIn(preprocessing).catch(() => []);
  const found = files.filter((file) => existsSync(file));
  return Promise.all(found.map(async (file) => [path.basename(file), await digestPath(file)]));
}

/** Whether a step was passed with this key, and what it left is as it was. @param folder of the pipeline file */
export async function isRecorded(step: StepCommand, key: string, folder: string): Promise<boolean> {
  const record = readRecord(step);
  return record?.key === key && record.outputs === (await outputsOf(step)) && (await isStillPublished(step, folder));
}

/** What was published lies where others may delete it. A repository that cannot be asked is for the command to complain about. */
async function isStillPublished({ manifest, repository }: StepCommand, folder: string): Promise<boolean> {
  if (manifest === undefined) return true;
  try {
    const { name, version } = JSON.parse(readFileSync(manifest, 'utf8')) as { name: string; version: number };
    const isUri = /^[a-z][a-z0-9+.-]+:/i.test(repository!);
    const store = await openModelStore(isUri ? repository! : path.resolve(folder, repository!));
    return (await store.versions(name)).includes(version);
  } catch {
    return false;
  }
}

/** Clears the folder of a step: what an earlier run left is in the way of a command that overwrites nothing, unless it goes on with it. */
export function makeRoom({ folder, model, step: { rule } }: StepCommand, key: string): void {
  const unfinished = path.join(folder, UNFINISHED_FILE);
  const goesOn =
    rule.resumes === 'any' ||
    (rule.resumes === 'same' && existsSync(unfinished) && readFileSync(unfinished, 'utf8') === key);
  rmSync(goesOn ? path.join(folder, RECORD_FILE) : folder, { recursive: true, force: true });
  mkdirSync(model === undefined || rule.makesFolder === true ? folder : path.dirname(model), { recursive: true });
  if (rule.resumes === 'same') writeFileSync(unfinished, key);
}

export async function recordStep(step: StepCommand, key: string): Promise<void> {
  rmSync(path.join(step.folder, UNFINISHED_FILE), { force: true });
  const record: StepRecord = { key, outputs: await outputsOf(step) };
  writeFileSync(path.join(step.folder, RECORD_FILE), `${JSON.stringify(record, undefined, 2)}\n`);
}

function readRecord({ folder }: StepCommand): Partial<StepRecord> | undefined {
  try {
    return JSON.parse(readFileSync(path.join(folder, RECORD_FILE), 'utf8')) as Partial<StepRecord>;
  } catch {
    // Never run, or ended while it was written: then the step is run.
    return undefined;
  }
}

async function outputsOf({ folder, model, manifest }: StepCommand): Promise<string> {
  const report = path.join(folder, 'report.json');
  const places = [...(model === undefined ? [] : [path.dirname(model)]), manifest, report];
  const digests: string[] = [];
  for (const place of places) {
    if (place !== undefined) digests.push(existsSync(place) ? await digestPath(place) : 'missing');
  }
  return digestText(digests.join());
}

/** A value may be a place, `output=place`, or `place:function`. */
function placesIn(text: string): readonly string[] {
  const value = text.startsWith('--') ? text.slice(text.indexOf('=') + 1) : text;
  if (/^[a-z0-9]+:\/\//i.test(value)) return [];
  const [, afterSign = ''] = /=(.+)$/.exec(value) ?? [];
  const [, beforeColon = ''] = /^(.+):[^:]+$/.exec(value) ?? [];
  return [value, afterSign, beforeColon];
}

/** Weights beside a model are a part of it. */
function digestOf(file: string): Promise<string> {
  if (!file.endsWith('.onnx')) return digestPath(file);
  try {
    const { files } = readOnnxModel(file);
    return Promise.resolve(digestText(files.map(({ path: name, sha256 }) => `${sha256}  ${name}`).join('\n')));
  } catch {
    // Whoever runs the step says what is wrong with it.
    return digestPath(file);
  }
}

function digestText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
