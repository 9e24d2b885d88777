import { stringify } from 'yaml';
import type { KubernetesObject } from './service-objects';

/** Objects as one YAML stream, in their order. */
export function renderYaml(objects: readonly KubernetesObject[]): string {
  return objects.map(objectYaml).join('---\n').trimEnd();
}

export function objectYaml(object: object): string {
  return stringify(object, { lineWidth: 0, aliasDuplicateObjects: false });
}
