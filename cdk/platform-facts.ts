import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stage } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import { SpecError } from '../runtime/spec';
import type { PlatformFacts, PlatformGroupFacts } from './platform';

export const PLATFORM_FACTS_SCHEMA = 'slipway.dev/platform-facts/v1';

/** SSM parameters in which a platform leaves what only its deployment knows, below `parameterPrefix`. All are strings. */
export const PLATFORM_PARAMETERS = {
  vpcId: { name: 'vpc-id', description: 'VPC of the platform' },
  // In one parameter: a stack that joins uses the subnets and hardly ever the zones, and an unused parameter is a finding.
  subnets: {
    name: 'subnets',
    description: 'subnets for replicas, one in each zone, then those zones, comma-separated',
  },
  clusterName: { name: 'cluster-name', description: 'ECS cluster that services join' },
  listenerArn: { name: 'listener-arn', description: 'listener that services add rules to' },
  loadBalancerName: { name: 'load-balancer-name', description: 'dimension LoadBalancer of metrics' },
  loadBalancerDns: { name: 'load-balancer-dns', description: 'where clients send requests' },
  loadBalancerSecurityGroup: {
    name: 'load-balancer-security-group',
    description: 'security group that replicas let in',
  },
} as const;

export type PlatformParameter = keyof typeof PLATFORM_PARAMETERS;

export function platformParameterName(prefix: string, parameter: PlatformParameter): string {
  return `${prefix}/${PLATFORM_PARAMETERS[parameter].name}`;
}

/** The parameter that holds the name of a group's capacity provider. */
export function capacityParameterName(prefix: string, group: string): string {
  return `${prefix}/capacity/${group}`;
}

export function platformParameterPrefix(platformName: string): string {
  return `/slipway/${platformName}`;
}

/**
 * The same text for one platform in all stacks of an app, whether they made it or joined it. Where no account or region is
 * said, each stage of the app may be meant for another one.
 */
export function platformKey(
  construct: IConstruct,
  { account, region, parameterPrefix }: Pick<PlatformFacts, 'account' | 'region' | 'parameterPrefix'>,
): string {
  const unknown = `stage ${Stage.of(construct)?.node.path ?? ''}`;
  return [account ?? unknown, region ?? unknown, parameterPrefix].join(' ');
}

/** Lower-case letters, digits and dashes: these become parts of parameter names. */
export function isPlatformWord(word: string): boolean {
  return /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(word);
}

/**
 * The facts of a platform, checked.
 * @param facts them, or the path of the file that the platform's app wrote.
 * @throws SpecError PLATFORM_FACTS_INVALID saying which field is wrong, or where the file comes from.
 */
export function readPlatformFacts(facts: string | PlatformFacts): PlatformFacts {
  return checkFacts(typeof facts === 'string' ? parse(facts) : facts);
}

/**
 * Leaves the facts in the output folder, as `<platformName>.platform.facts.json` with the account and region that the
 * stack names before `.platform`, and in a file of the author's.
 */
export function writePlatformFacts(facts: PlatformFacts, outdir: string, factsFile: string | undefined): void {
  const name = [facts.platformName, facts.account, facts.region].filter((part) => part !== undefined).join('.');
  const text = `${JSON.stringify(facts, undefined, 2)}\n`;
  writeFileSync(join(outdir, `${name}.platform.facts.json`), text);
  if (factsFile === undefined) return;
  // `cdk watch` would run again and again for a file that is written without a change.
  if (!existsSync(factsFile) || readFileSync(factsFile, 'utf8') !== text) writeFileSync(factsFile, text);
}

function parse(path: string): unknown {
  if (!existsSync(path)) {
    throw invalid(
      'facts',
      `there is no file '${path}'; 'cdk synth' of the app that makes the platform writes <platformName>.platform.facts.json into cdk.out, and wherever factsFile says`,
    );
  }
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw invalid(
      'facts',
      `'${path}' must be the JSON that 'cdk synth' of the platform's app wrote, got something else`,
    );
  }
}

// Fields that are not known here come from a newer version, which only adds some.
function checkFacts(given: unknown): PlatformFacts {
  const facts = asObject(given, 'facts');
  if (facts['schema'] !== PLATFORM_FACTS_SCHEMA) {
    throw invalid('facts.schema', `must be '${PLATFORM_FACTS_SCHEMA}', got ${JSON.stringify(facts['schema'])}`);
  }
  const listener = asObject(facts['listener'], 'facts.listener');
  const platformName = check(facts, 'platformName', isName, 'a name of lower-case letters, digits and dashes');
  return {
    schema: PLATFORM_FACTS_SCHEMA,
    platformName,
    preset: check(facts, 'preset', isOneOf('production', 'development'), "'production' or 'development'"),
    ...optional(facts, 'account', isText, 'an account number'),
    ...optional(facts, 'region', isText, 'a region'),
    parameterPrefix: check(
      facts,
      'parameterPrefix',
      isOneOf(platformParameterPrefix(platformName)),
      `'${platformParameterPrefix(platformName)}'`,
    ),
    zones: check(facts, 'zones', isCount, 'a whole number from 1'),
    subnetType: check(facts, 'subnetType', isOneOf('isolated', 'private'), "'isolated' or 'private'"),
    listener: {
      port: check(listener, 'port', isCount, 'a port', 'facts.listener'),
      tls: check(listener, 'tls', isBoolean, 'true or false', 'facts.listener'),
      exposure: check(listener, 'exposure', isOneOf('internal', 'public'), "'internal' or 'public'", 'facts.listener'),
      idleTimeoutSeconds: check(listener, 'idleTimeoutSeconds', isCount, 'whole seconds', 'facts.listener'),
    },
    ...optional(facts, 'namespace', isText, 'the name of a namespace'),
    groups: Object.fromEntries(
      Object.entries(asObject(facts['groups'], 'facts.groups')).map(([name, group]) => {
        if (!isPlatformWord(name)) throw invalid('facts.groups', `a group cannot be named ${JSON.stringify(name)}`);
        return [name, checkGroup(asObject(group, `facts.groups.${name}`), `facts.groups.${name}`)];
      }),
    ),
  };
}

function checkGroup(group: Fields, path: string): PlatformGroupFacts {
  return {
    kind: check(group, 'kind', isOneOf('instances', 'managedInstances'), "'instances' or 'managedInstances'", path),
    instanceTypes: check(group, 'instanceTypes', isTextList, 'a list of instance types', path),
    ...optional(group, 'maxMachines', isCount, 'a whole number from 1', path),
    spot: check(group, 'spot', isBoolean, 'true or false', path),
    ...optional(group, 'modelCache', isBoolean, 'true or false', path),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function asObject(given: unknown, path: string): Fields {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given as Fields;
  throw invalid(path, `must be an object, got ${JSON.stringify(given)}`);
}

function check<T>(fields: Fields, name: string, is: (value: unknown) => value is T, wanted: string, path = 'facts'): T {
  const value = fields[name];
  if (is(value)) return value;
  throw invalid(`${path}.${name}`, `must be ${wanted}, got ${JSON.stringify(value)}`);
}

function optional<Name extends string, T>(
  fields: Fields,
  name: Name,
  is: (value: unknown) => value is T,
  wanted: string,
  path = 'facts',
): { readonly [key in Name]?: T } {
  return fields[name] === undefined ? {} : ({ [name]: check(fields, name, is, wanted, path) } as { [key in Name]: T });
}

function isOneOf<T extends string>(...words: readonly T[]): (value: unknown) => value is T {
  return (value): value is T => (words as readonly unknown[]).includes(value);
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && isPlatformWord(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isText);
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1;
}

function invalid(path: string, message: string): SpecError {
  return new SpecError('PLATFORM_FACTS_INVALID', path, message);
}
