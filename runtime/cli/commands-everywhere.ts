import type { CommandEntry } from './command';

/** Commands that the server image has, too: what steps of a pipeline and Jobs of a cluster run. */
export const COMMANDS_EVERYWHERE: readonly CommandEntry[] = [
  {
    name: 'model inspect',
    summary: 'show what an ONNX file says about itself',
    load: async () => (await import('./model-inspect.js')).modelInspect,
  },
  {
    name: 'model publish',
    summary: 'put one model version into a model repository, proven',
    load: async () => (await import('./model-publish.js')).modelPublish,
  },
  {
    name: 'canary judge',
    summary: 'say whether a canary does as well as what it may replace',
    load: async () => (await import('./canary-judge.js')).canaryJudge,
  },
  {
    name: 'conformance',
    summary: 'hold a server against the protocols it speaks',
    load: async () => (await import('./conformance.js')).conformance,
  },
  {
    name: 'key create',
    summary: 'make an API key, and the entry by which servers know it',
    load: async () => (await import('./key-create.js')).keyCreate,
  },
];

/** The image and the package load what it runs from different places. */
export const MODEL_PULL_ENTRY: Omit<CommandEntry, 'load'> = {
  name: 'model pull',
  summary: 'copy one published model version to a disk, every file by its digest',
};
