import type { IConstruct } from 'constructs';

/**
 * Ids of a construct's children. They are public API: CloudFormation knows a resource by them, and renaming one replaces
 * somebody's load balancer or bucket. What lies below a resource of the CDK is the CDK's.
 */
export function idsOf(construct: IConstruct): readonly string[] {
  return construct.node.children.map(({ node }) => node.id.replace(/^ReadModels[0-9a-f]{12}$/, 'ReadModels<digest>'));
}
