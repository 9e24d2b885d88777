/** Commands of `slipway` that a step of a pipeline may run. A test holds them to the command's own table. */
export const STEP_COMMANDS = ['model inspect', 'model publish'] as const;
