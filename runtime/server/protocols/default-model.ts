import { malformed } from '../json-body';
import type { RouteContext } from './route-context';

/**
 * The model behind paths that name none: the one that the settings name, or the only one.
 * @throws ServerError MALFORMED_REQUEST that lists the models.
 */
export function defaultModel({ models, settings }: Pick<RouteContext, 'models' | 'settings'>): string {
  if (settings.defaultModel !== undefined) return settings.defaultModel;
  const { names } = models();
  const [name, another] = names;
  if (name !== undefined && another === undefined) return name;
  const known = names.map((candidate) => `'${candidate}'`).join(', ');
  throw malformed(
    names.length === 0
      ? 'there is no model here yet'
      : `which model? There are ${known}: name one in the path, or set SLIPWAY_DEFAULT_MODEL`,
  );
}
