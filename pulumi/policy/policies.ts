import type { Policies, PolicyConfigSchema, ResourceValidationPolicy, StackValidationPolicy } from '@pulumi/policy';
import { POLICY_RULES } from './check-resources';
import { DEFAULT_SETTINGS, type Rule, type RuleSettings } from './rule';

/**
 * Slipway's rules as policies for a policy pack of one's own. A rule that looks at a whole stack has a second policy,
 * `<rule>-stack`, since a policy is of one kind.
 *
 * Levels and settings are the pack's configuration, as for any policy pack: `{ "gpu-machines-idle": "disabled" }`,
 * `{ "gpu-machines-bounded": { "maxGpuMachines": 4 } }`.
 * @param settings what holds where the configuration says nothing
 *
 * @example
 * new PolicyPack('platform', { policies: slipwayPolicies({ requiredTags: ['team'] }) });
 */
export function slipwayPolicies(settings: Partial<RuleSettings> = {}): Policies {
  const defaults = { ...DEFAULT_SETTINGS, ...settings };
  return POLICY_RULES.flatMap((rule) => [
    ...(rule.check === undefined ? [] : [resourcePolicy(rule, rule.check, defaults)]),
    ...(rule.checkStack === undefined ? [] : [stackPolicy(rule, rule.checkStack, defaults)]),
  ]);
}

function resourcePolicy(
  rule: Rule,
  check: NonNullable<Rule['check']>,
  defaults: RuleSettings,
): ResourceValidationPolicy {
  return {
    ...common(rule, rule.id),
    validateResource: (args, report) => {
      const { type, name, urn, props } = args;
      const resource = { type, name, urn, props, dependencies: [] };
      for (const message of check(resource, { ...defaults, ...args.getConfig<Partial<RuleSettings>>() }))
        report(message);
    },
  };
}

function stackPolicy(
  rule: Rule,
  check: NonNullable<Rule['checkStack']>,
  defaults: RuleSettings,
): StackValidationPolicy {
  return {
    ...common(rule, rule.check === undefined ? rule.id : `${rule.id}-stack`),
    validateStack: (args, report) => {
      const seen = args.resources.map(({ type, name, urn, props, dependencies }) => ({
        type,
        name,
        urn,
        props,
        dependencies: dependencies.map((dependency) => dependency.urn),
      }));
      const all = { ...defaults, ...args.getConfig<Partial<RuleSettings>>() };
      for (const { message, urn } of check(seen, all)) report(message, urn);
    },
  };
}

function common({ description, level, severity, setting }: Rule, name: string) {
  return {
    name,
    description,
    severity,
    enforcementLevel: level,
    ...(setting === undefined ? {} : { configSchema: SETTING_SCHEMAS[setting] }),
  };
}

const texts = (name: string): PolicyConfigSchema => ({
  properties: { [name]: { type: 'array', items: { type: 'string' } } },
});

const SETTING_SCHEMAS: Readonly<Record<keyof RuleSettings, PolicyConfigSchema>> = {
  maxGpuMachines: { properties: { maxGpuMachines: { type: 'integer', minimum: 0 } } },
  requiredTags: texts('requiredTags'),
  trustedRegistries: texts('trustedRegistries'),
};
