import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '../server/harness/model-repository';

const ROOT = path.join(__dirname, '../..');
const TIMEOUT_MS = 280_000;

/** Runs the script of an example with smaller sizes, in a folder of its own. @throws Error with all that it printed */
export async function runExample(name: string, ...flags: readonly string[]): Promise<{ folder: string; report: any }> {
  const folder = path.join(temporaryFolder(), name);
  const script = path.join(ROOT, 'examples', name, 'run.mjs');
  const options = { cwd: ROOT, env: environment(), timeout: TIMEOUT_MS, maxBuffer: 64 * 2 ** 20 };
  await promisify(execFile)(process.execPath, [script, '--work', folder, ...flags], options);
  return { folder, report: JSON.parse(readFileSync(path.join(folder, 'report.json'), 'utf8')) };
}

/** What a test has set for its own servers is not the example's; where Python is, is. */
function environment(): NodeJS.ProcessEnv {
  const isKept = (name: string) => !name.startsWith('SLIPWAY_') || name.startsWith('SLIPWAY_MODEL_PYTHON');
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => isKept(name)));
}
