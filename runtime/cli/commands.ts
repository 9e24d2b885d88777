import type { CommandEntry } from './command';
import { COMMANDS_EVERYWHERE, MODEL_PIPELINE_ENTRY, MODEL_PULL_ENTRY } from './commands-everywhere';

const SERVICES: readonly CommandEntry[] = [
  {
    name: 'serve',
    summary: 'serve a model repository on this machine',
    load: async () => (await import('./serve.js')).serve,
  },
  {
    name: 'plan',
    summary: 'show everything that is decided about a service, and why',
    load: async () => (await import('./plan.js')).plan,
  },
  {
    name: 'render',
    summary: 'print the Kubernetes objects of a service',
    load: async () => (await import('./render.js')).render,
  },
  {
    name: 'preview',
    summary: 'show what up would change',
    load: async () => (await import('./preview.js')).preview,
  },
  {
    name: 'up',
    summary: 'deploy a service to a cluster, without a program of your own',
    load: async () => (await import('./up.js')).up,
  },
  {
    name: 'down',
    summary: 'delete what up made',
    load: async () => (await import('./down.js')).down,
  },
  {
    name: 'verify',
    summary: 'prove a service, a Pulumi program or a CDK app without an account',
    load: async () => (await import('./verify.js')).verify,
  },
  {
    name: 'doctor',
    summary: 'say what a cluster and an account lack for a service; changes nothing',
    load: async () => (await import('./doctor.js')).doctor,
  },
];

const MODEL_TOOLS: readonly CommandEntry[] = [
  {
    name: 'model codegen',
    summary: 'write a typed client of a model, in one file without dependencies',
    load: async () => (await import('./model-codegen.js')).modelCodegen,
  },
  { ...MODEL_PULL_ENTRY, load: async () => (await import('./model-pull.js')).modelPull },
  {
    ...MODEL_PIPELINE_ENTRY,
    load: async () => (await import('./model-pipeline.js')).modelPipelineOf(() => COMMANDS),
  },
  {
    name: 'model convert',
    summary: 'make an ONNX file of a network of PyTorch, TensorFlow, Keras or scikit-learn',
    load: async () => (await import('./model-convert.js')).modelConvert,
  },
  {
    name: 'model distil',
    summary: 'teach a small network what a large one knows, and write it as ONNX',
    load: async () => (await import('./model-distil.js')).modelDistil,
  },
  {
    name: 'model optimize',
    summary: 'simplify the graph of a model, or make its numbers half as wide',
    load: async () => (await import('./model-optimize.js')).modelOptimize,
  },
  {
    name: 'model quantize',
    summary: 'make the weights of a model 8-bit numbers, and what it computes with them',
    load: async () => (await import('./model-quantize.js')).modelQuantize,
  },
  {
    name: 'model search',
    summary: 'try recipes on a model, and show what accuracy, latency and size each comes to',
    load: async () => (await import('./model-search.js')).modelSearch,
  },
];

const IMAGES: readonly CommandEntry[] = [
  {
    name: 'image build',
    summary: 'build the server image',
    load: async () => (await import('./image-build.js')).imageBuild,
  },
  {
    name: 'image pin',
    summary: 'record the digest of the base image',
    load: async () => (await import('./image-pin.js')).imagePin,
  },
  {
    name: 'image push',
    summary: 'build the server image, push it and print its digest',
    load: async () => (await import('./image-push.js')).imagePush,
  },
];

/** A model's way, from a trained network to its clients: the order in which people read of the commands. */
const WAY = [
  ...['convert', 'inspect', 'optimize', 'quantize', 'prune', 'sparsify', 'cluster', 'distil', 'search', 'evaluate'],
  ...['compile', 'publish', 'list', 'diff', 'promote', 'rollback', 'pull', 'gc', 'codegen', 'pipeline'],
].map((word) => `model ${word}`);
const ofModels = ({ name }: CommandEntry): boolean => name.startsWith('model ');

/** Every command of `slipway`. Names and flags are public API. */
export const COMMANDS: readonly CommandEntry[] = [
  ...SERVICES,
  ...[...MODEL_TOOLS, ...COMMANDS_EVERYWHERE.filter(ofModels)].sort(
    (a, b) => WAY.indexOf(a.name) - WAY.indexOf(b.name),
  ),
  ...COMMANDS_EVERYWHERE.filter((entry) => !ofModels(entry)),
  ...IMAGES,
];
