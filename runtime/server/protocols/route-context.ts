import type { ServerSettings } from '../../spec/environment';
import type { Inference } from '../inference';
import type { RepositoryControl } from '../repository/model-lifecycle';
import type { ServedModels } from '../served-models';

/** What the routes of a protocol need. */
export interface RouteContext {
  readonly models: () => ServedModels;
  readonly inference: Inference;
  readonly settings: ServerSettings;
  /** Whether every model is ready, and the server is not on its way out. */
  readonly isReady: () => boolean;
  /** Loads and unloads models by name. @default - nobody can */
  readonly repository?: RepositoryControl;
}
