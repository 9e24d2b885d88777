/** What a command could not do, in one sentence: printed as `error: …`, exit status 1. */
export class CliError extends Error {
  readonly exitCode: number = 1;
}

/** A command line that means nothing: unknown command or flag, missing argument. Exit status 2. */
export class UsageError extends CliError {
  override readonly exitCode = 2;
}
