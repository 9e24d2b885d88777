/** What the doctor found out about a model, before anybody has run it. */
export interface Finding {
  /** A stable name, for scripts and for `properties` of the model's metadata. */
  readonly code: FindingCode;
  /** `error`: the model cannot be served. `warning`: it will be slower or larger than it could. `info`: worth knowing. */
  readonly severity: 'info' | 'warning' | 'error';
  readonly message: string;
  /** What would work, where there is something. */
  readonly suggestion?: string;
  /** The command that does it, with names in capitals to fill in. @default - no command of ours does */
  readonly command?: string;
}

export type FindingCode =
  | 'non-tensor'
  | 'type-unsupported'
  | 'opset-too-new'
  | 'domain-unknown'
  | 'rank-unknown'
  | 'first-dimension-fixed'
  | 'first-dimension-names'
  | 'reshape-constant'
  | 'rows-not-independent'
  | 'cuda-fallback'
  | 'cuda-dynamic-shapes'
  | 'external-files'
  | 'int64-input'
  | 'string-tensor'
  | 'memory';

/** One sentence, what would work, and the command that does it. */
export function describeFinding({ message, suggestion, command }: Finding): string {
  const said = suggestion === undefined ? message : `${message}; ${suggestion}`;
  return command === undefined ? said : `${said}: ${command}`;
}
