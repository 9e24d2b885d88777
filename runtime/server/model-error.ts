/** One model version cannot be served: it is not loaded, and the reason stands in the log and in the model index. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}
