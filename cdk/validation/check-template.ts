import type { CloudFormationTemplate, Finding } from './finding';
import type { Rule } from './rule';
import { MACHINE_RULES } from './rules/machine-rules';
import { MANAGED_RULES } from './rules/managed-rules';
import { SERVICE_RULES } from './rules/service-rules';
import { TASK_RULES } from './rules/task-rules';
import { TemplateView } from './template-view';

const ALL_RULES = [...TASK_RULES, ...MACHINE_RULES, ...SERVICE_RULES, ...MANAGED_RULES] as const;

/** Ids of rules. Public API: people acknowledge findings by them. */
export type RuleId = (typeof ALL_RULES)[number]['id'];

/** Every rule, each with one sentence about what goes wrong. */
export const RULES: readonly Rule<RuleId>[] = ALL_RULES;

/**
 * What the rules say about a CloudFormation template, whoever made it. Nothing is said of what only deployment knows: an
 * intrinsic function may be anything.
 * @param except ids of rules that are not asked
 */
export function checkTemplate(template: CloudFormationTemplate, except: readonly RuleId[] = []): readonly Finding[] {
  const view = new TemplateView(template);
  return RULES.filter(({ id }) => !except.includes(id)).flatMap(({ id, severity, check }) =>
    [...check(view)].map(({ resource, message }) => ({ rule: id, severity, logicalId: resource.id, message })),
  );
}
