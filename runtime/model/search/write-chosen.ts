import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import { slipwayVersion } from '../edit/slipway-version';
import type { EvaluationReport } from '../evaluate/evaluation-report';
import { holdToGates } from '../evaluate/gates';
import { provenanceFile, writeProvenance } from '../provenance';
import { writeOutputFolder } from '../write-output';
import type { Named } from './choose-candidate';
import type { SearchConstraints } from './search-report';

export const CHOSEN_FOLDER = 'chosen';
const EVALUATION_FILE = 'evaluation.json';

export interface ChosenOptions {
  /** The folder of the search. */
  readonly output: string;
  readonly data: string;
  readonly constraints: SearchConstraints;
  readonly at: Date;
}

/**
 * Copies a model into `chosen/`, with its history, that goes on with the search, and its evaluation, whose gates are the
 * constraints: both are what `slipway model publish` takes up.
 * @returns the files, relative to the folder of the search, the model first
 */
export async function writeChosen(
  file: string,
  evaluation: EvaluationReport,
  { name, numbers }: Named,
  { output, data, constraints, at }: ChosenOptions,
): Promise<readonly string[]> {
  const { files } = readOnnxModel(file);
  await writeOutputFolder(path.join(output, CHOSEN_FOLDER), { overwrite: true }, async (folder) => {
    for (const { localPath, path: relative } of files) {
      await mkdir(path.dirname(path.join(folder, relative)), { recursive: true });
      await copyFile(localPath, path.join(folder, relative));
    }
    const { accuracy, drop, fileBytes } = numbers;
    await writeProvenance({
      command: `slipway model search --data ${path.basename(path.resolve(data))}, which chose ${name}`,
      tools: { slipway: slipwayVersion(), ...evaluation.tools },
      inputs: [file, data],
      outputs: files.map(({ path: relative }) => path.join(folder, relative)),
      report: { recipe: name, constraints: { ...constraints }, accuracy, drop, fileBytes, p50Ms: numbers.speed.p50Ms },
      at,
    });
    const evidence = evidenceFor(evaluation, numbers, constraints);
    await writeFile(path.join(folder, EVALUATION_FILE), `${JSON.stringify(evidence, undefined, 2)}\n`);
  });
  return [...files.map(({ path: relative }) => relative), provenanceFile(files[0]!.path), EVALUATION_FILE].map(
    (each) => `${CHOSEN_FOLDER}/${each}`,
  );
}

/** A search that finds nothing leaves no model of the one before it. */
export async function removeChosen(output: string): Promise<void> {
  await rm(path.join(output, CHOSEN_FOLDER), { recursive: true, force: true });
}

function evidenceFor(
  evaluation: EvaluationReport,
  { drop, compressionPercent, speed }: Named['numbers'],
  { maxDrop, maxLatencyMs, maxBytes }: SearchConstraints,
): EvaluationReport {
  const { batchSize, p50Ms, p90Ms, p99Ms, rowsPerSecond } = speed;
  const metrics = { ...evaluation.metrics, drop, compressionPercent };
  const timed = { batchSize, p50Ms, p90Ms, p99Ms, rowsPerSecond };
  const gate = (metric: string, limit: number | undefined) =>
    limit === undefined ? [] : [{ metric, bound: 'max', limit } as const];
  const asked = [...gate('drop', maxDrop), ...gate('p50Ms', maxLatencyMs), ...gate('fileBytes', maxBytes)];
  const gates = holdToGates(asked, { ...metrics, ...timed });
  return { ...evaluation, metrics, speed: timed, gates, passed: gates.every(({ passed }) => passed) };
}
