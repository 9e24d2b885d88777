import { type Properties, type PropertyValue } from './pulumi-values';

/** One resource as the program registered it, in the order of registration. */
export interface RecordedResource {
  readonly urn: string;
  /** The type token: `aws:s3/bucket:Bucket`, `slipway:index:InferenceService`. */
  readonly type: string;
  readonly name: string;
  /** URN of the parent; '' for the stack itself. */
  readonly parent: string;
  /** True for what a provider manages, false for a component. */
  readonly custom: boolean;
  /** True for a component that a plugin would construct; its children are invisible to the program. */
  readonly remote: boolean;
  /** True when the program read an existing resource instead of declaring one. */
  readonly read: boolean;
  /** What the program gave, after transforms; secrets and unknowns stay tagged. */
  readonly inputs: Properties;
  /** What the engine answered: the inputs, and after an up the state that the provider computed. */
  readonly state: Properties;
  /** Empty at preview and for components. */
  readonly id: string;
  readonly protect: boolean;
  /** URNs of everything that must exist first, explicit and by value. */
  readonly dependencies: readonly string[];
  /** URNs that each input depends on. */
  readonly propertyDependencies: Readonly<Record<string, readonly string[]>>;
  /** The provider chosen for this resource, as `urn::id`; '' for the default provider. */
  readonly provider: string;
  /** The providers a component hands to its children, by package. */
  readonly providers: Readonly<Record<string, string>>;
  readonly aliases: readonly RecordedAlias[];
  readonly ignoreChanges: readonly string[];
  readonly replaceOnChanges: readonly string[];
  readonly additionalSecretOutputs: readonly string[];
  readonly customTimeouts: { readonly create?: string; readonly update?: string; readonly delete?: string };
  readonly deleteBeforeReplace: boolean;
  readonly retainOnDelete: boolean;
  /** URN of the resource whose deletion makes deleting this one unnecessary; '' for none. */
  readonly deletedWith: string;
  readonly importId: string;
  /** Version of the provider package that the program's SDK asks for. */
  readonly version: string;
  /**
   * Of a parameterized provider: the provider, the package that it makes and the parameter that tells it which, each behind a
   * space; '' for any other.
   */
  readonly packageRef: string;
  /** True when the resource was made inside the callback of an `apply`: a preview cannot show such a resource. */
  readonly insideApply: boolean;
}

/** An earlier identity of a resource: a whole URN, or the parts of it that were different. */
export interface RecordedAlias {
  readonly urn?: string;
  readonly name?: string;
  readonly type?: string;
  readonly stack?: string;
  readonly project?: string;
  readonly parent?: string;
  /** True when the resource used to have no parent. */
  readonly noParent?: boolean;
}

export interface RecordedInvoke {
  readonly token: string;
  readonly args: Properties;
  readonly provider: string;
}

export interface RecordedLog {
  readonly severity: 'debug' | 'info' | 'warning' | 'error';
  readonly message: string;
  /** URN of the resource that the message is about; '' for the stack. */
  readonly urn: string;
}

/** Everything that a program sent to the engine in one preview or update. */
export interface PulumiRecording {
  readonly preview: boolean;
  readonly resources: readonly RecordedResource[];
  /** What each component passed to `registerOutputs`, by URN. */
  readonly outputs: Readonly<Record<string, Properties>>;
  /** What the program exported. */
  readonly stackOutputs: Properties;
  readonly invokes: readonly RecordedInvoke[];
  readonly logs: readonly RecordedLog[];
  /** 0 after success; 32 when the program failed and has logged why. */
  readonly exitCode: number;
  /** The last 64 KiB of what the program printed, each. */
  readonly stdout: string;
  readonly stderr: string;
}

/** The messages of all errors that the program logged. */
export function loggedErrors(recording: PulumiRecording): readonly string[] {
  return recording.logs.filter((log) => log.severity === 'error').map((log) => log.message);
}

/**
 * Returns the recording of a program that ran to its end.
 * @throws Error with the logged errors when it did not.
 */
export function assertSucceeded(recording: PulumiRecording): PulumiRecording {
  if (recording.exitCode === 0) return recording;
  const reasons = [...loggedErrors(recording), recording.stderr].filter((text) => text !== '').join('\n');
  throw new Error(`the program ended with exit code ${recording.exitCode}:\n${reasons}`);
}

export function findResources(recording: PulumiRecording, type: string): readonly RecordedResource[] {
  return recording.resources.filter((resource) => resource.type === type);
}

/**
 * The only resource of a type, or the only one of that type and name.
 * @throws Error listing what was registered when there is none or more than one.
 */
export function findResource(recording: PulumiRecording, type: string, name?: string): RecordedResource {
  const matches = findResources(recording, type).filter((resource) => name === undefined || resource.name === name);
  const [match] = matches;
  if (match !== undefined && matches.length === 1) return match;
  const wanted = name === undefined ? type : `${type} named '${name}'`;
  const candidates = match === undefined ? recording.resources : matches;
  throw new Error(
    `expected one resource of type ${wanted}, got ${matches.length}; registered: ` +
      (candidates.map((resource) => `${resource.type} '${resource.name}'`).join(', ') || 'nothing') +
      loggedErrors(recording)
        .map((message) => `\n${message}`)
        .join(''),
  );
}

/** The resources below another one, at any depth. */
export function findDescendants(recording: PulumiRecording, urn: string): readonly RecordedResource[] {
  const children = recording.resources.filter((resource) => resource.parent === urn);
  return children.flatMap((child) => [child, ...findDescendants(recording, child.urn)]);
}

/** One value of a resource's inputs by its path: `spec.template.spec.containers[0].image`. */
export function propertyAt(properties: Properties, path: string): PropertyValue | undefined {
  const keys = path.replace(/\[(\d+)\]/g, '.$1').split('.');
  return keys.reduce<PropertyValue | undefined>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Properties)[key] : undefined),
    properties,
  );
}

/**
 * Checks that a preview shows what the update does: the same URNs in both, and none made inside an `apply`,
 * which a preview with unknown values would leave out.
 * @throws Error naming every resource that differs.
 */
export function assertSameResources(preview: PulumiRecording, up: PulumiRecording): void {
  const urnsOf = (recording: PulumiRecording) => new Set(recording.resources.map((resource) => resource.urn));
  const [previewed, made] = [urnsOf(preview), urnsOf(up)];
  const complaints = [
    ...[...made].filter((urn) => !previewed.has(urn)).map((urn) => `made by up, not shown by preview: ${urn}`),
    ...[...previewed].filter((urn) => !made.has(urn)).map((urn) => `shown by preview, not made by up: ${urn}`),
    ...madeInsideApply(up).map((resource) => `made inside apply: ${resource.urn}`),
  ];
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
}

/** The resources that were made inside the callback of an `apply`, whether or not a preview happened to show them. */
export function madeInsideApply(recording: PulumiRecording): readonly RecordedResource[] {
  return recording.resources.filter((resource) => resource.insideApply);
}
