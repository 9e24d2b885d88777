/**
 * Commands of `slipway` that a step of a pipeline may run: those that judge a candidate, and the one that publishes it. A test
 * holds them to the command's own table.
 */
export const STEP_COMMANDS = ['model inspect', 'model evaluate', 'model pipeline', 'model publish'] as const;
