/** What somebody said about a verification. */
export interface VerifyOptions {
  readonly stack: string;
  /** Configuration of a Pulumi program, over that of its stack. */
  readonly config: Readonly<Record<string, string>>;
  /** What providers and functions answer in the place of a cloud. */
  readonly answers: Answers;
  /** Ids of rules that are not asked. */
  readonly except: readonly string[];
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** `name=value` of CloudFormation parameters. */
  readonly parameters: readonly string[];
  /** ONNX files and manifests that are asked for a prediction, beside those of a spec file. */
  readonly models: readonly string[];
  /** Whether the image may be pulled: somebody asked for this very step. */
  readonly mayPull: boolean;
}

export interface Answers {
  /** Outputs by type of resource. */
  readonly resources: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Results by token of function. */
  readonly functions: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}
