import type { ServerSettings } from '../../spec/environment';
import type { Inference } from '../inference';
import type { ServedModels } from '../served-models';

/** What the routes of a protocol need. */
export interface RouteContext {
  readonly models: () => ServedModels;
  readonly inference: Inference;
  readonly settings: ServerSettings;
}
