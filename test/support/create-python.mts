// node --import tsx test/support/create-python.mts SET...: makes the Python environments that tests of the model tools look for.
import { pythonFor } from '../../runtime/model/python/environment.js';
import { PYTHON_SETS, type PythonSetName } from '../../runtime/model/python/python-sets.js';

for (const set of process.argv.slice(2)) {
  if (!(PYTHON_SETS as readonly string[]).includes(set))
    throw new Error(`sets are ${PYTHON_SETS.join(', ')}, got ${set}`);
  const { python, version } = await pythonFor(set as PythonSetName);
  console.log(`${set}: Python ${version}, ${python}`);
}
