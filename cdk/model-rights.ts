import { createHash } from 'node:crypto';
import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { SpecError, type ModelLocation } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import type { Model } from './model';

export interface BoundModels {
  readonly locations: Readonly<Record<string, ModelLocation<string>>>;
  /** The right to read exactly these models; the service must depend on it. */
  readonly policy: iam.Policy;
}

/**
 * Says where the models of a service lie, and lets its role read them.
 *
 * The rights are a policy of their own, whose logical id carries a digest of the objects it names. An update that brings
 * other objects therefore brings another policy: CloudFormation creates it before it updates the service, which depends
 * on it, and deletes the old one only when the update has succeeded. While a rollout is under way, and after it was
 * rolled back, replicas of either version may read their models. A policy that is changed in place would take the rights
 * of the running replicas away first, and a replica that starts again during the rollout would find nothing.
 */
export function bindModels(scope: Construct, models: readonly Model[], role: iam.IRole): BoundModels {
  const objects = models.map((model) => `${model.spec.name}=${model.objects}`).join('\n');
  const digest = createHash('sha256').update(objects).digest('hex').slice(0, 12);
  const policy = new iam.Policy(scope, `ReadModels${digest}`, { roles: [role] });
  const folder = new Construct(scope, 'Models');
  const locations = Object.fromEntries(models.map((model) => [model.spec.name, model.bind(folder, policy)]));
  const resources = resourcesOf(policy);
  assertSize(resources);
  for (const prefix of resources.filter((resource) => resource.endsWith('*'))) {
    acknowledge(policy, `IAM5[Resource::${prefix}]`, 'the prefix holds one model, whose versions come and go');
  }
  return { locations, policy };
}

// IAM takes 10,240 characters of policies beside a role, white space not counted, and during a rollout the policies of two
// versions are there. A resource's own length is close to its length here, where account and region are still names.
const MAX_POLICY_CHARACTERS = 5_120;
const POLICY_FRAME_CHARACTERS = 300;

function assertSize(resources: readonly string[]): void {
  const characters = resources.reduce((sum, resource) => sum + resource.length + 3, POLICY_FRAME_CHARACTERS);
  if (characters <= MAX_POLICY_CHARACTERS) return;
  throw new SpecError(
    'POLICY_TOO_LARGE',
    'models',
    `the right to read ${resources.length} objects takes some ${characters} characters of the role's policies, where ${MAX_POLICY_CHARACTERS} leave room for a rollout; publish the models to a ModelBucket, where a model takes one, or split the service`,
  );
}

/** What the policy lets the role read, spelled as cdk-nag spells it: `arn:<AWS::Partition>:s3:::…`. */
export function resourcesOf(policy: iam.Policy): readonly string[] {
  const { Statement } = Stack.of(policy).resolve(policy.document) as { Statement: { Resource: unknown }[] };
  return Statement.flatMap(({ Resource }) => Resource).map(spell);
}

function spell(value: unknown): string {
  if (typeof value === 'string') return value.replaceAll('${', '<').replaceAll('}', '>');
  const [[intrinsic, argument]] = Object.entries(value as object) as [[string, unknown]];
  switch (intrinsic) {
    case 'Fn::Join':
      return (argument as [string, unknown[]])[1].map(spell).join((argument as [string, unknown[]])[0]);
    case 'Fn::GetAtt':
      return `<${(argument as string[]).join('.')}>`;
    case 'Ref':
      return `<${String(argument)}>`;
    default:
      return spell(argument);
  }
}
