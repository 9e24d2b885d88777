export {
  checkResources,
  POLICY_RULES,
  type PolicyFinding,
  type PolicyReport,
  type UndecidedRule,
} from './check-resources';
export { slipwayPolicies } from './policies';
export type { CheckedResource, Complaint, Rule, RuleGroup, RuleLevel, RuleSettings } from './rule';
