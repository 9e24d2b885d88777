import type { TestContext } from 'vitest';
import { findEnvironment, pythonFor, type PythonEnvironment } from '../../runtime/model/python/environment';
import type { PythonSetName } from '../../runtime/model/python/python-sets';

/**
 * The Python environment of a set, where this machine has one already; with SLIPWAY_TEST_CREATE_PYTHON=1 one is made, as the gate
 * does. Elsewhere the test is skipped: an environment is up to 5 GB of downloads.
 */
export async function modelPython(context: TestContext, set: PythonSetName): Promise<PythonEnvironment> {
  const there = await findEnvironment(set);
  if (there !== undefined) return there;
  if (process.env['SLIPWAY_TEST_CREATE_PYTHON'] === '1') return pythonFor(set);
  return context.skip(`there is no Python environment for ${set}; SLIPWAY_TEST_CREATE_PYTHON=1 makes one`);
}
