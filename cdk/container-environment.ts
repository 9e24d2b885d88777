import { Stack, Token } from 'aws-cdk-lib';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import {
  containerEnvironment,
  ENVIRONMENT,
  PLAIN,
  readEnvironment,
  SpecError,
  type EnvironmentVariable,
  type InferenceServicePlan,
  type ModelLocation,
} from '../runtime/spec';

export interface ContainerEnvironmentInput {
  readonly plan: InferenceServicePlan;
  readonly clusterName: string;
  readonly models: Readonly<Record<string, ModelLocation<string>>>;
  /** Where the machine's model cache is mounted. @default - the replica's own scratch space */
  readonly cacheDirectory?: string;
  /** The author's. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, ecs.Secret>>;
}

/**
 * What the server is told: what the plan decided, and what its author adds to that.
 * @throws SpecError ENVIRONMENT_TAKEN for a variable that the plan writes, ENVIRONMENT_UNKNOWN for one that the server
 * does not know, ENVIRONMENT_INVALID for a value that it would refuse, or a secret in plain text.
 */
export function serverEnvironment(scope: Construct, input: ContainerEnvironmentInput): Record<string, string> {
  const { plan, clusterName, models, cacheDirectory, environment = {}, secrets = {} } = input;
  const planned: Record<string, string> = {
    ...containerEnvironment(plan, { ...PLAIN, models, clusterName, cloudwatchMetrics: true }),
    ...(cacheDirectory === undefined ? {} : { [ENVIRONMENT.cacheDirectory.variable]: cacheDirectory }),
    // On machines of our own ECS does not say it, and their metadata service is out of a replica's reach.
    AWS_REGION: Stack.of(scope).region,
  };
  assertNotTaken('environment', Object.keys(environment), planned);
  assertNotTaken('secrets', Object.keys(secrets), { ...planned, ...environment });
  assertNoSecrets(environment);
  assertReadable(environment, Object.keys(secrets));
  return { ...planned, ...environment };
}

function assertNotTaken(path: string, names: readonly string[], taken: Readonly<Record<string, string>>): void {
  const [name] = names.filter((each) => Object.hasOwn(taken, each));
  if (name === undefined) return;
  throw new SpecError('ENVIRONMENT_TAKEN', `${path}.${name}`, 'is decided by another property of the service already');
}

function assertNoSecrets(environment: Readonly<Record<string, string>>): void {
  const rows = Object.values(ENVIRONMENT) as EnvironmentVariable[];
  const secret = rows.find(({ variable, secret }) => secret === true && Object.hasOwn(environment, variable));
  if (secret === undefined) return;
  throw new SpecError(
    'ENVIRONMENT_INVALID',
    `environment.${secret.variable}`,
    'is a secret, and who may read the template would read it; give it in secrets',
  );
}

// Late-bound values are read by the server alone.
function assertReadable(environment: Readonly<Record<string, string>>, secrets: readonly string[]): void {
  const known = Object.entries(environment).filter(([, value]) => !Token.isUnresolved(value));
  const named = Object.entries(environment).filter(([, value]) => Token.isUnresolved(value));
  readEnvironment(Object.fromEntries(known));
  // Of these the names alone are known, and the server takes an empty text for none.
  readEnvironment(Object.fromEntries([...named.map(([name]) => name), ...secrets].map((name) => [name, ''])));
}
