/** A CloudFormation template as JSON, whoever made it. */
export interface CloudFormationTemplate {
  readonly Parameters?: Readonly<Record<string, { readonly Type: string; readonly Default?: unknown }>>;
  readonly Resources?: Readonly<Record<string, CloudFormationResource>>;
}

export interface CloudFormationResource {
  readonly Type: string;
  // Whatever the type takes, intrinsic functions included: a rule looks, and says nothing of what it cannot read.
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly DependsOn?: string | readonly string[];
  readonly Metadata?: Readonly<Record<string, unknown>>;
}

/** What a rule says about one resource of a template. */
export interface Finding {
  /** Id of the rule: `GPU_ON_FARGATE`. Public API: people acknowledge findings by it. */
  readonly rule: string;
  readonly severity: 'error' | 'warning';
  readonly logicalId: string;
  /** One sentence: what is there, the numbers, the way out. */
  readonly message: string;
}
