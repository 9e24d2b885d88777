import type { TestContext } from 'vitest';
import { findEnvironment } from '../../../runtime/model/python/environment';
import type { PythonSetName } from '../../../runtime/model/python/python-sets';

/** Skips a test where a set of Python packages is neither installed nor given: installing one takes minutes and gigabytes. */
export async function needsPythonSet(context: TestContext, set: PythonSetName): Promise<void> {
  if ((await findEnvironment(set)) === undefined) context.skip(`the Python packages of '${set}' are not installed`);
}
