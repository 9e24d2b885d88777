/** What a command could not do, in one sentence: printed as `error: …`, exit status 1 where its kind is not known. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = 1,
  ) {
    super(message);
  }
}

/** A command line that means nothing: unknown command or flag, missing argument. Exit status 2. */
export class UsageError extends CliError {
  override readonly exitCode = 2;
}
