import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CDK = 'node_modules/aws-cdk/bin/cdk';

/** Runs the CDK CLI as a user does in a clone: `cdk.json` builds the package if it must, and runs the example. */
export async function cdk(arguments_: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  // This file's own settings are not a user's: validation is on, and no answer is coloured.
  const { CDK_VALIDATION: _off, ...inherited } = process.env;
  try {
    const { stdout, stderr } = await run(process.execPath, [CDK, ...arguments_, '--no-notices', '--no-color'], {
      env: { ...inherited, CDK_DISABLE_CLI_TELEMETRY: 'true', ...environment },
      maxBuffer: 64 * 2 ** 20,
    });
    return `${stdout}\n${stderr}`;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`cdk ${arguments_.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error });
  }
}

export function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), 'slipway-cdk-out-'));
}
