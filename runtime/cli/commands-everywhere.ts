import type { CommandEntry } from './command';

/** Commands that the server image has, too: what steps of a pipeline and Jobs of a cluster run. */
export const COMMANDS_EVERYWHERE: readonly CommandEntry[] = [
  {
    name: 'model inspect',
    summary: 'show what an ONNX file says about itself',
    load: async () => (await import('./model-inspect.js')).modelInspect,
  },
  {
    name: 'model compile',
    summary: 'pack the weights of a model for the processor of this machine',
    load: async () => (await import('./model-compile.js')).modelCompile,
  },
  {
    name: 'model prune',
    summary: 'take channels out of a model, or set weights of it to zero',
    load: async () => (await import('./model-prune.js')).modelPrune,
  },
  {
    name: 'model sparsify',
    summary: 'store weights that are mostly zeros without them',
    load: async () => (await import('./model-sparsify.js')).modelSparsify,
  },
  {
    name: 'model cluster',
    summary: 'store weights as few values and the place of each element in them',
    load: async () => (await import('./model-cluster.js')).modelCluster,
  },
  {
    name: 'model publish',
    summary: 'put one model version into a model repository, proven',
    load: async () => (await import('./model-publish.js')).modelPublish,
  },
  {
    name: 'model evaluate',
    summary: 'say what a model gets right on labelled rows, how fast, and whether that is enough',
    load: async () => (await import('./model-evaluate.js')).modelEvaluate,
  },
  {
    name: 'model promote',
    summary: 'point a label to a published version',
    load: async () => (await import('./model-promote.js')).modelPromote,
  },
  {
    name: 'model rollback',
    summary: 'point a label back to the version that it named before',
    load: async () => (await import('./model-promote.js')).modelRollback,
  },
  {
    name: 'model list',
    summary: 'show the versions of a model repository',
    load: async () => (await import('./model-list.js')).modelList,
  },
  {
    name: 'model diff',
    summary: 'show what tells two versions of a model apart',
    load: async () => (await import('./model-diff.js')).modelDiff,
  },
  {
    name: 'model gc',
    summary: 'find versions that nobody needs, and delete them when told to',
    load: async () => (await import('./model-gc.js')).modelGc,
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

/** It runs the commands that there are: fewer in the image. */
export const MODEL_PIPELINE_ENTRY: Omit<CommandEntry, 'load'> = {
  name: 'model pipeline',
  summary: 'run commands after each other, from a trained model to a published one',
};
