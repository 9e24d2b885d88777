import { runSlipway } from '../../runtime/cli/run';

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line in this process and returns what it printed. */
export async function slipway(...argv: readonly string[]): Promise<CommandResult> {
  const printed = { stdout: '', stderr: '' };
  const status = await runSlipway(argv, {
    width: 100,
    out: (text) => void (printed.stdout += `${text}\n`),
    err: (text) => void (printed.stderr += `${text}\n`),
  });
  return { status, ...printed };
}
