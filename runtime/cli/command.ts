/** Where a command writes. The process's own streams, or a test's. */
export interface Terminal {
  /** Columns that tables and paragraphs may take. */
  readonly width: number;
  /** One line, or several, to standard output. */
  out(text: string): void;
  /** One line, or several, to standard error. */
  err(text: string): void;
}

/** A flag of a command; its name is its key, without the dashes. */
export interface CommandOption {
  readonly type: 'string' | 'boolean';
  /** One letter that does as well: `-o`. @default - none */
  readonly short?: string;
  /** What stands for the value in the help: `--name <value>`. Only for strings. */
  readonly value?: string;
  /** May be given more than once. @default false */
  readonly multiple?: boolean;
  readonly required?: boolean;
  readonly description: string;
}

export interface CommandArgument {
  readonly name: string;
  readonly description: string;
  /** Only the last one may be. @default false */
  readonly optional?: boolean;
}

/** What a command line became: every flag by name, every argument by name. */
export interface ParsedArguments {
  text(option: string): string | undefined;
  texts(option: string): readonly string[];
  flag(option: string): boolean;
  /** Empty for an optional one that was not given. */
  argument(name: string): string;
}

export interface Command {
  readonly arguments: readonly CommandArgument[];
  readonly options: Readonly<Record<string, CommandOption>>;
  /** A flag that people ask for and that does not exist, with the sentence they get. */
  readonly refusedOptions?: Readonly<Record<string, string>>;
  /** @default - nothing more than the summary */
  readonly details?: string;
  run(given: ParsedArguments, terminal: Terminal): Promise<void>;
}

/** One line of the command table. The command itself, and what it needs, is loaded only when it is asked for. */
export interface CommandEntry {
  /** The words that call it: `model publish`. */
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}
