import { COMMANDS } from '../../runtime/cli/commands';
import { runSlipway } from '../../runtime/cli/run';

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line in this process and returns what it printed. */
export async function slipway(...argv: readonly string[]): Promise<CommandResult> {
  const printed = { stdout: '', stderr: '' };
  const terminal = {
    width: 100,
    out: (text: string) => void (printed.stdout += `${text}\n`),
    err: (text: string) => void (printed.stderr += `${text}\n`),
  };
  const status = await runSlipway(argv, terminal, COMMANDS);
  return { status, ...printed };
}
