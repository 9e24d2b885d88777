import { malformed, showGiven, type Json } from './json-body';
import type { RepositoryControl } from './repository/model-lifecycle';

// Loading and unloading with the parameters that Triton has for it, whatever they came by.

/** @throws ServerError MALFORMED_REQUEST for parameters that are not taken; what `RepositoryControl.load` throws. */
export async function loadModel(repository: RepositoryControl, model: string, parameters: Json): Promise<void> {
  const { config, ...others } = parameters;
  const [other] = Object.keys(others);
  if (other?.startsWith('file:') === true) {
    throw malformed(`'${other}' is not taken: a model is loaded from the model repository alone, so publish it there`);
  }
  if (other !== undefined) throw malformed(`'${other}' is no parameter of load; config is`);
  if (config !== undefined && typeof config !== 'string') {
    throw malformed(`config must be the JSON of a model configuration in a string, got ${showGiven(config)}`);
  }
  await repository.load(model, config);
}

/** @throws ServerError MALFORMED_REQUEST for parameters that are not taken; what `RepositoryControl.unload` throws. */
export async function unloadModel(repository: RepositoryControl, model: string, parameters: Json): Promise<void> {
  const { unload_dependents: dependents = false, ...others } = parameters;
  const [other] = Object.keys(others);
  if (other !== undefined) throw malformed(`'${other}' is no parameter of unload; unload_dependents is`);
  if (typeof dependents !== 'boolean') {
    throw malformed(`unload_dependents must be true or false, got ${showGiven(dependents)}`);
  }
  await repository.unload(model, { dependents });
}
