import { DEFAULT_SETTINGS, type CheckedResource, type Rule, type RuleLevel, type RuleSettings } from './rule';
import { CLOUD_RULES } from './rules/cloud-rules';
import { CLUSTER_RULES } from './rules/cluster-rules';
import { COST_RULES } from './rules/cost-rules';
import { GPU_RULES } from './rules/gpu-rules';
import { WORKLOAD_RULES } from './rules/workload-rules';

/** Every rule. Ids are public API. */
export const POLICY_RULES: readonly Rule[] = [
  ...WORKLOAD_RULES,
  ...GPU_RULES,
  ...CLOUD_RULES,
  ...CLUSTER_RULES,
  ...COST_RULES,
];

export interface PolicyFinding {
  readonly rule: string;
  readonly level: RuleLevel;
  readonly urn: string;
  readonly message: string;
}

/** A rule that could not be held against a resource, for a value that it reads is known only after deployment. */
export interface UndecidedRule {
  readonly rule: string;
  readonly urn: string;
}

export interface PolicyReport {
  readonly findings: readonly PolicyFinding[];
  readonly undecided: readonly UndecidedRule[];
}

/**
 * Holds every rule against the resources of a program, without the Pulumi CLI: what a test or a check before a
 * deployment has recorded.
 * @param isUnknown says which values are known only after deployment. @default - every value is known
 */
export function checkResources(
  resources: readonly CheckedResource[],
  settings: Partial<RuleSettings> = {},
  isUnknown: (value: unknown) => boolean = () => false,
): PolicyReport {
  const all = { ...DEFAULT_SETTINGS, ...settings };
  const seen = resources.map((resource) => ({ ...resource, props: refuseUnknowns(resource.props, isUnknown) }));
  const findings: PolicyFinding[] = [];
  const undecided: UndecidedRule[] = [];
  for (const { id: rule, level, check, checkStack } of POLICY_RULES) {
    const decide = (urn: string, collect: () => void): void => {
      try {
        collect();
      } catch (error) {
        if (!(error instanceof UnknownRead)) throw error;
        undecided.push({ rule, urn });
      }
    };
    for (const resource of seen) {
      decide(resource.urn, () => {
        for (const message of check?.(resource, all) ?? []) findings.push({ rule, level, urn: resource.urn, message });
      });
    }
    decide('', () => {
      for (const complaint of checkStack?.(seen, all) ?? []) findings.push({ rule, level, ...complaint });
    });
  }
  return { findings, undecided };
}

class UnknownRead extends Error {}

/** The same value, which refuses to show what is not known yet: no rule may take it for something. */
function refuseUnknowns<T extends object>(value: T, isUnknown: (value: unknown) => boolean): T {
  return new Proxy(value, {
    get: (target, key, receiver) => {
      const field: unknown = Reflect.get(target, key, receiver);
      if (isUnknown(field)) throw new UnknownRead();
      return typeof field === 'object' && field !== null ? refuseUnknowns(field, isUnknown) : field;
    },
  });
}
