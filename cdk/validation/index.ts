export type { CloudFormationResource, CloudFormationTemplate, Finding } from './finding';
