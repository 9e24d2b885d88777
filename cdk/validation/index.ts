export { checkTemplate, RULES, type RuleId } from './check-template';
export type { CloudFormationResource, CloudFormationTemplate, Finding } from './finding';
export { InferenceRules, type InferenceRulesOptions } from './inference-rules';
export type { Complaint, Rule } from './rule';
