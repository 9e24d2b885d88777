import { PublishError } from './publish-error';
import { ModelToolError } from './tool-error';

/**
 * A model that was made and does not run, told by the name that it would have had: the temporary folder in which it lay is gone.
 * @returns any other error as it is
 */
export function toldOfOutput(error: unknown, temporaryFolder: string, output: string): unknown {
  const isOfModel =
    (PublishError.is(error) && error.code === 'MODEL_NOT_LOADED') ||
    (ModelToolError.is(error) && error.code === 'MODEL_RUN_FAILED');
  if (!isOfModel || !error.where.startsWith(temporaryFolder)) return error;
  const said = error.message.slice(`${error.code} ${error.where}: `.length).replaceAll(error.where, 'it');
  return new ModelToolError('MODEL_RUN_FAILED', output, `what was made does not run, and was not written: ${said}`);
}
