// `slipway` in the server image, /app/cli.mjs: what steps of a pipeline run. The files of SLIPWAY_SOURCE lie below
// /tmp/source before the command begins, for a task has no disk that another could fill.
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CommandEntry } from './command.js';
import { COMMANDS_EVERYWHERE, MODEL_PIPELINE_ENTRY, MODEL_PULL_ENTRY } from './commands-everywhere.js';
import { runSlipway } from './run.js';
import { takeRemoteStoresFrom } from '../model/open-model-store.js';
import { SOURCE_FOLDER } from '../spec/endpoints.js';
import { fetchSourceFiles, parseSourceFiles } from './source-files.js';

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

async function main(): Promise<number> {
  const source = process.env['SLIPWAY_SOURCE'];
  // In the image the scratch space is /tmp.
  const folder = path.join(tmpdir(), path.basename(SOURCE_FOLDER));
  try {
    if (source !== undefined) await fetchSourceFiles(parseSourceFiles(source), folder);
  } catch (error) {
    terminal.err(`error: ${(error as Error).message.replaceAll('\n', ' ')}`);
    return 1;
  }
  return runSlipway(process.argv.slice(2), terminal, commands);
}

// Not process.exit: what was written may still be on its way to the log.
void main().then((status) => {
  if (status !== 0) process.exitCode = status;
});
