/**
 * Commands of `slipway` that a step of a pipeline may run: those that change a candidate, and those that judge it. A test holds
 * them to the command's own table.
 */
export const STEP_COMMANDS = [
  'model inspect',
  'model evaluate',
  'model prune',
  'model sparsify',
  'model cluster',
  'model compile',
  'model pipeline',
] as const;

/** Commands that a pipeline of the package runs and the server image has not. */
export const PYTHON_COMMANDS = [
  'model convert',
  'model distil',
  'model optimize',
  'model quantize',
  'model search',
] as const;
