/** What a model configuration may ask for at most: far above any use, low enough that no number of it ends the server. */
export const LIMITS = {
  configurationCharacters: 1_048_576,
  rows: 65_536,
  versions: 1_000,
  executors: 256,
  /** Of all groups together. */
  executorsOfModel: 64,
  gpus: 63,
  priorityLevels: 1_000,
  rank: 16,
  steps: 64,
  warmupSamples: 100,
  warmupRuns: 1_000,
} as const;
