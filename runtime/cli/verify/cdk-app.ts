import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { devNull, tmpdir } from 'node:os';
import path from 'node:path';
import type { CloudFormationTemplate } from '../../../cdk/validation/finding';
import { ImageError } from '../../image/image-error';
import { runCommand } from '../../image/run-command';
import { programOnPath } from '../../testing/program-on-path';
import { SkippedStep } from './step';

/** A synthesized template of an app, nested ones included. */
export interface Template {
  readonly name: string;
  readonly file: string;
  readonly content: CloudFormationTemplate;
}

const CDK_SECONDS = 600;
const TEMPLATE = '.template.json';

/** How the CDK's command line is started: the app's own, else the one on the PATH. @throws SkippedStep without one */
function cdkCommand(folder: string): { readonly program: string; readonly args: readonly string[] } {
  try {
    const file = createRequire(path.join(folder, 'package.json')).resolve('aws-cdk/package.json');
    return { program: process.execPath, args: [path.join(path.dirname(file), 'bin/cdk')] };
  } catch {
    const program = programOnPath('cdk');
    if (program !== undefined) return { program, args: [] };
    throw new SkippedStep(`the CDK's command line is not installed; run npm install aws-cdk in ${folder}`);
  }
}

// No profile and no role of the machine's: what wants an account says so instead of asking one.
const NOBODY = {
  AWS_ACCESS_KEY_ID: '',
  AWS_SECRET_ACCESS_KEY: '',
  AWS_SESSION_TOKEN: '',
  AWS_PROFILE: '',
  AWS_CONFIG_FILE: devNull,
  AWS_SHARED_CREDENTIALS_FILE: devNull,
  AWS_EC2_METADATA_DISABLED: 'true',
};

/**
 * Runs the CDK's command line for an app, with nothing that phones home.
 * @throws Error with the last lines of what it said
 */
export async function cdk(
  folder: string,
  args: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { program, args: first } = cdkCommand(folder);
  const command = {
    program,
    args: [...first, ...args, '--no-notices', '--no-color'],
    environment: { CDK_DISABLE_CLI_TELEMETRY: 'true', ...NOBODY, ...environment },
    directory: folder,
  };
  try {
    await runCommand(command, { timeoutSeconds: CDK_SECONDS });
  } catch (error) {
    if (!ImageError.is(error)) throw error;
    const [, ...said] = error.message.split('\n');
    throw new Error([`cdk ${args[0]} failed`, ...said].join('\n'));
  }
}

/** Synthesizes an app into a folder of its own, with no account: what it looks up must stand in its cdk.context.json. */
export async function synthesize(folder: string, app: string): Promise<string> {
  const output = mkdtempSync(path.join(tmpdir(), 'slipway-verify-cdk-'));
  try {
    await cdk(folder, ['synth', '--all', '--quiet', '--no-lookups', '--app', app, '--output', output]);
    return output;
  } catch (error) {
    rmSync(output, { recursive: true, force: true });
    throw error;
  }
}

export function templatesIn(output: string): readonly Template[] {
  const names = readdirSync(output, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(TEMPLATE));
  return names.sort().map((name) => {
    const file = path.join(output, name);
    const content = JSON.parse(readFileSync(file, 'utf8')) as CloudFormationTemplate;
    return { name: path.basename(name, TEMPLATE), file, content };
  });
}
