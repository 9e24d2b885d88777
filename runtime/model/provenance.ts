import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { FileDigest } from '../spec/evaluation-evidence';
import { describeField, type RefuseField } from '../spec/manifest-fields';
import { checkProvenance, type Provenance, type ProvenanceStep } from '../spec/provenance';
import { digestPath } from './digest-path';
import { ModelToolError } from './tool-error';

/** What a tool did: paths of this machine, of which the history keeps names and digests alone. */
export interface ToolStep {
  /** What was run, as somebody would type it, without folders or secrets. */
  readonly command: string;
  /** Versions of what ran. */
  readonly tools: Readonly<Record<string, string>>;
  /** Files and folders that went in; the first is the model whose history goes on. */
  readonly inputs: readonly string[];
  /** Files that came out; the first is the model, its external data follow. */
  readonly outputs: readonly string[];
  /** What was measured or compared. @default - nothing */
  readonly report?: Readonly<Record<string, unknown>>;
  /** @default - now */
  readonly at?: Date;
}

/** Where the history of a model file lies: beside it. */
export function provenanceFile(modelPath: string): string {
  return `${modelPath}.provenance.json`;
}

/**
 * The history of a model file, or undefined where there is none.
 * @throws ModelToolError PROVENANCE_INVALID for a file that is no history, FILE_UNREADABLE
 */
export async function readProvenance(modelPath: string): Promise<Provenance | undefined> {
  const file = provenanceFile(modelPath);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ModelToolError('FILE_UNREADABLE', file, `cannot be read: ${(error as Error).message}`);
  }
  return parseProvenance(text, file);
}

/** Whether the last thing that a history says is of a file with this digest. */
export function endsWith(provenance: Provenance, sha256: string): boolean {
  const last = provenance.steps.at(-1)?.outputs ?? provenance.source;
  return last.some((file) => file.sha256 === sha256);
}

/**
 * The history of what a tool made: that of its first input with one step more. Where the first input has none, or one that is
 * of other bytes, the history begins with what went in.
 * @throws ModelToolError FILE_UNREADABLE, PROVENANCE_INVALID
 */
export async function extendProvenance(step: ToolStep): Promise<Provenance> {
  const [model] = step.inputs as readonly [string];
  const inputs = await digestAll(step.inputs);
  const before = await readProvenance(model);
  const isOfModel = before !== undefined && endsWith(before, inputs[0]!.sha256);
  const done: ProvenanceStep = {
    command: step.command,
    tools: { ...step.tools },
    inputs,
    outputs: await digestAll(step.outputs),
    ...(step.report === undefined ? {} : { report: step.report }),
    at: (step.at ?? new Date()).toISOString(),
  };
  const history = isOfModel ? before : { source: inputs, steps: [] };
  return { source: history.source, steps: [...history.steps, done] };
}

/**
 * Writes the history of a tool's first output beside it, whole or not at all.
 * @returns what was written
 * @throws ModelToolError FILE_UNREADABLE, PROVENANCE_INVALID, OUTPUT_UNWRITABLE
 */
export async function writeProvenance(step: ToolStep): Promise<Provenance> {
  const provenance = await extendProvenance(step);
  const file = provenanceFile(step.outputs[0]!);
  const unfinished = `${file}.${randomUUID()}`;
  try {
    await writeFile(unfinished, `${JSON.stringify(provenance, undefined, 2)}\n`);
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw new ModelToolError('OUTPUT_UNWRITABLE', file, `cannot be written: ${(error as Error).message}`);
  }
  return provenance;
}

function digestAll(places: readonly string[]): Promise<readonly FileDigest[]> {
  return Promise.all(places.map(async (place) => ({ path: path.basename(place), sha256: await digestPath(place) })));
}

function parseProvenance(text: string, file: string): Provenance {
  const refuse: RefuseField = (field, expected, got) => {
    throw new ModelToolError('PROVENANCE_INVALID', file, `${field} must be ${expected}, got ${describeField(got)}`);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ModelToolError('PROVENANCE_INVALID', file, `must be JSON: ${(error as Error).message}`);
  }
  checkProvenance(value, 'provenance', refuse);
  return value;
}
