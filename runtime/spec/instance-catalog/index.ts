import { CLOUD_NAMES, CLOUDS, type Cloud } from '../clouds';
import { SpecError } from '../errors';
import { ALIBABA_INSTANCES } from './alibaba';
import { AWS_INSTANCES } from './aws';
import { AZURE_INSTANCES } from './azure';
import { GCP_INSTANCES } from './gcp';
import type { InstanceFacts } from './instance-facts';
import { TENCENT_INSTANCES } from './tencent';

export type { Architecture, InstanceFacts } from './instance-facts';

/**
 * GPU machines of the five clouds. Each table names its source and the day it was read; what no source says has no row.
 * Types of one cloud stand in the order of preference among those that fit: small before large.
 */
export const INSTANCE_CATALOG = {
  ...AWS_INSTANCES,
  ...GCP_INSTANCES,
  ...AZURE_INSTANCES,
  ...ALIBABA_INSTANCES,
  ...TENCENT_INSTANCES,
} as const satisfies Record<string, InstanceFacts>;

export type InstanceType = keyof typeof INSTANCE_CATALOG;

const CATALOG: Readonly<Record<string, InstanceFacts>> = INSTANCE_CATALOG;

/** The types of one cloud, in order of preference. */
export function instanceTypesOf(cloud: Cloud): string[] {
  return Object.keys(CATALOG).filter((type) => CATALOG[type]!.cloud === cloud);
}

/**
 * @param cloud Whose type it must be. @default - any cloud's
 * @throws SpecError UNKNOWN_INSTANCE_TYPE listing the types of the nearest family, or whose type it is instead.
 */
export function lookUpInstance(instanceType: string, path: string, cloud?: Cloud): InstanceFacts {
  const facts = Object.hasOwn(CATALOG, instanceType) ? CATALOG[instanceType]! : undefined;
  if (facts !== undefined && (cloud === undefined || facts.cloud === cloud)) return facts;
  const whose = facts === undefined ? '' : `, a type of ${CLOUD_NAMES[facts.cloud]}`;
  const known = cloud === undefined ? knownAnywhere(instanceType) : knownOf(cloud, instanceType);
  const where = facts === undefined || cloud === undefined ? 'known' : `known of ${CLOUD_NAMES[cloud]}`;
  throw new SpecError('UNKNOWN_INSTANCE_TYPE', path, `got '${instanceType}'${whose}, ${where}: ${known}`);
}

function knownOf(cloud: Cloud, instanceType: string): string {
  const types = instanceTypesOf(cloud);
  const sameFamily = types.filter((type) => familyOf(type) === familyOf(instanceType));
  return sameFamily.length > 0 ? sameFamily.join(', ') : `families ${familiesOf(types)}`;
}

function knownAnywhere(instanceType: string): string {
  const sameFamily = Object.keys(CATALOG).filter((type) => familyOf(type) === familyOf(instanceType));
  if (sameFamily.length > 0) return sameFamily.join(', ');
  return CLOUDS.map((cloud) => `families ${familiesOf(instanceTypesOf(cloud))} of ${CLOUD_NAMES[cloud]}`).join('; ');
}

function familiesOf(types: readonly string[]): string {
  return [...new Set(types.map(familyOf))].join(', ');
}

/** `g6` of `g6.xlarge`, `g2` of `g2-standard-4`, `ecs.gn7i` of `ecs.gn7i-c8g1.2xlarge`, `NC_T4_v3` of `Standard_NC4as_T4_v3`. */
function familyOf(type: string): string {
  const azure = /^Standard_([A-Z]+)\d+[a-z]*(_\w+)$/.exec(type);
  if (azure !== null) return `${azure[1]}${azure[2]}`;
  const parts = type.split(/[.-]/);
  return parts.slice(0, type.startsWith('ecs.') ? 2 : 1).join('.');
}
