import { INSTANCE_CATALOG, instanceTypesOf, type InstanceFacts } from '../../runtime/spec';

// GPU families of AWS that no replica of ours is planned for. Source: EC2's list of accelerated instance types, read
// 2026-11-22.
const OTHER_FAMILIES = [
  ...['g3', 'g3s', 'g4ad', 'g5g', 'g6f', 'gr6', 'gr6f', 'g7e'],
  ...['p2', 'p3', 'p3dn', 'p4de', 'p5e', 'p5en', 'p6-b200', 'p6-b300', 'p6e-gb200'],
];
const CATALOG: Readonly<Record<string, InstanceFacts>> = INSTANCE_CATALOG;
const FAMILIES = new Set([...instanceTypesOf('aws').map(familyOf), ...OTHER_FAMILIES]);

/** Whether machines of this type have GPUs, as their name says: `g6.xlarge`, `ml.p5.48xlarge`, `g6` or `g6.*`. */
export function isGpuType(type: string): boolean {
  return /^(ml\.)?(g|gr|p)\d[a-z0-9-]*(\.|$)/.test(type);
}

/** Whether a type is named like those with GPUs, and there is none of that name. */
export function isUnknownGpuType(type: string): boolean {
  const name = type.replace(/^ml\./, '');
  if (!isGpuType(name)) return false;
  if (!FAMILIES.has(familyOf(name))) return true;
  const isWholeName = /\.[a-z0-9-]+$/.test(name);
  return isWholeName && !OTHER_FAMILIES.includes(familyOf(name)) && !Object.hasOwn(CATALOG, name);
}

/** GPUs of a machine. @returns undefined where the catalogue does not have the type */
export function gpuCountOf(type: string): number | undefined {
  return Object.hasOwn(CATALOG, type) ? CATALOG[type]!.gpuCount : undefined;
}

function familyOf(type: string): string {
  return type.split('.')[0]!;
}
