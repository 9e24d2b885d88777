// `slipway` in the server image, /app/cli.mjs: what steps of a pipeline run. The files of SLIPWAY_SOURCE lie below
// /tmp/source before the command begins, and what steps before it left below /tmp/results, for a task has no disk that
// another could fill. What it leaves there itself goes to the bucket that SLIPWAY_RESULTS names.
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CommandEntry } from './command.js';
import { COMMANDS_EVERYWHERE, MODEL_PIPELINE_ENTRY, MODEL_PULL_ENTRY } from './commands-everywhere.js';
import { runSlipway } from './run.js';
import { takeRemoteStoresFrom } from '../model/open-model-store.js';
import { RESULTS_FOLDER, SOURCE_FOLDER } from '../spec/endpoints.js';
import { fetchSourceFiles, parseSourceFiles } from './source-files.js';
import { fetchResults, parseStepResults, saveResults } from './step-results.js';

const terminal = {
  width: 100,
  out: (text: string) => void process.stdout.write(`${text}\n`),
  err: (text: string) => void process.stderr.write(`${text}\n`),
};

// What reads every source lies in the bundle; the package loads it from its own one.
const commands: readonly CommandEntry[] = [
  ...COMMANDS_EVERYWHERE,
  {
    ...MODEL_PULL_ENTRY,
    load: async () => (await import('./model-pull.js')).modelPullBy(() => import('../server/pull-model.js')),
  },
  {
    ...MODEL_PIPELINE_ENTRY,
    load: async () => (await import('./model-pipeline.js')).modelPipelineOf(() => commands),
  },
];

takeRemoteStoresFrom(() => import('../model/stores/remote-store.js'));

// In the image the scratch space is /tmp.
const scratch = (folder: string): string => path.join(tmpdir(), path.basename(folder));

async function main(): Promise<number> {
  const { SLIPWAY_SOURCE: source, SLIPWAY_RESULTS: given } = process.env;
  try {
    const results = given === undefined ? undefined : parseStepResults(given);
    if (source !== undefined) await fetchSourceFiles(parseSourceFiles(source), scratch(SOURCE_FOLDER));
    if (results !== undefined) await fetchResults(results, scratch(RESULTS_FOLDER));
    const status = await runSlipway(process.argv.slice(2), terminal, commands);
    // The report of a gate that closed is what people want to read.
    if (results !== undefined) await saveResults(results, scratch(RESULTS_FOLDER));
    return status;
  } catch (error) {
    terminal.err(`error: ${(error as Error).message.replaceAll('\n', ' ')}`);
    return 1;
  }
}

// Not process.exit: what was written may still be on its way to the log.
void main().then((status) => {
  if (status !== 0) process.exitCode = status;
});
