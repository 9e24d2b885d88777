import { expect } from 'vitest';
import { ModelToolError } from '../../runtime/model/tool-error';

/** Why a model tool refused; fails where it did not, or failed otherwise. */
export async function refusalOf(work: Promise<unknown>): Promise<ModelToolError> {
  const error = await work.then(
    () => expect.fail('it was not refused'),
    (reason: unknown) => reason,
  );
  if (!ModelToolError.is(error)) throw error;
  return error;
}
