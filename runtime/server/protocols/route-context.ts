import type { ServerSettings } from '../../spec/environment';
import type { Inference } from '../inference';
import type { ServedModels } from '../served-models';

/** Loading and unloading by name. */
export interface RepositoryControl {
  /** @throws ServerError when the model cannot be loaded. */
  load(name: string): Promise<void>;
  unload(name: string): Promise<void>;
}

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
