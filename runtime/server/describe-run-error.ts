import { ServerError } from './errors';
import { ExecutorExit, RunError } from './executor';

/** What clients are told about a run that failed. */
export function describeRunError(model: string, error: Error): Error {
  if (error instanceof ExecutorExit) {
    return new ServerError('EXECUTOR_LOST', `the executor of model '${model}' was lost while it ran this request`);
  }
  if (error instanceof RangeError) {
    return new ServerError('RUN_FAILED', `no memory for a batch of model '${model}': ${error.message}`);
  }
  if (!(error instanceof RunError)) return error;
  // Names, datatypes and shapes were right and the model has proven that it runs: what is left is the values (an index
  // outside a table, sizes that do not go together), unless the machine is to blame.
  return OUT_OF_RESOURCES.test(error.message)
    ? new ServerError('RUN_FAILED', `model '${model}' ran out of resources: ${error.message}`)
    : new ServerError('RUN_REFUSED', `model '${model}' cannot run these inputs: ${error.message}`);
}

const OUT_OF_RESOURCES = /allocate memory|out of memory|bad_alloc|CUDA|CUDNN|CUBLAS|TensorRT/i;
