/** A resource as a rule sees it: what the program gave, and what it waits for. */
export interface CheckedResource {
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  /** Inputs of the resource, as its provider names them. */
  readonly props: Readonly<Record<string, unknown>>;
  /** URNs of what must exist first. */
  readonly dependencies: readonly string[];
}

export type RuleLevel = 'mandatory' | 'advisory';
export type RuleGroup = 'security' | 'gpu' | 'cost';

/** What a platform team decides about the rules. Every field is an option of the policy that reads it. */
export interface RuleSettings {
  /** Most machines that one GPU group may grow to (`gpu-machines-bounded`). @default 16 */
  readonly maxGpuMachines: number;
  /** Tags that everything which can have tags must have (`required-tags`). @default - none */
  readonly requiredTags: readonly string[];
  /** Prefixes of image repositories that pods may pull from (`trusted-registries`). @default - any */
  readonly trustedRegistries: readonly string[];
}

export const DEFAULT_SETTINGS: RuleSettings = { maxGpuMachines: 16, requiredTags: [], trustedRegistries: [] };

export interface Complaint {
  /** What was found, and what would do. */
  readonly message: string;
  readonly urn: string;
}

/** One thing that must hold. Ids are public API: configurations of policy packs name them. */
export interface Rule {
  readonly id: string;
  readonly group: RuleGroup;
  /** `mandatory` stops the update, `advisory` warns. */
  readonly level: RuleLevel;
  readonly severity: 'low' | 'medium' | 'high' | 'critical';
  /** What must hold, in one sentence. */
  readonly description: string;
  /** The setting that it reads, which a policy pack offers as the policy's configuration. */
  readonly setting?: keyof RuleSettings;
  /** Of one resource: what breaks the rule, one sentence each. */
  readonly check?: (resource: CheckedResource, settings: RuleSettings) => Iterable<string>;
  /** Of a whole stack, for what is said by another resource. */
  readonly checkStack?: (resources: readonly CheckedResource[], settings: RuleSettings) => Iterable<Complaint>;
}

/** One value of a resource's inputs by its path: `nodeConfig.workloadMetadataConfig.mode`. */
export function valueAt(props: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (part, key) => (typeof part === 'object' && part !== null ? (part as Record<string, unknown>)[key] : undefined),
      props,
    );
}
