import type { RecordedResource } from 'slipway/testing';

export function typesOf(resources: readonly RecordedResource[], type: string): readonly RecordedResource[] {
  return resources.filter((resource) => resource.type === type);
}

/** The only resource of a type. */
export function only(resources: readonly RecordedResource[], type: string): RecordedResource {
  const [first, ...others] = typesOf(resources, type);
  if (first === undefined || others.length > 0) {
    throw new Error(`expected one ${type}, got ${others.length + (first === undefined ? 0 : 1)}`);
  }
  return first;
}
