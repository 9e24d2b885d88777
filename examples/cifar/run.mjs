// The whole way of a model, from training to a rollback, with the commands that a person would type. It leaves a folder with
// every model, report.json and table.md.
//
//   node examples/cifar/run.mjs [--work .slipway/cifar] [--cifar10 cifar-10-batches-bin] [--epochs 10] [--no-keras] …
import { cpus } from 'node:os';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pythonFor } from 'slipway/runtime';
import { runProgram, slipway } from '../commands.mjs';
import { rollOut } from './roll-out.mjs';
import { markdownTable, rowsOf } from './table.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const TAKES = 'image=float32[batch,3,32,32]';

const { values: given } = parseArgs({
  options: {
    work: { type: 'string', default: '.slipway/cifar' },
    cifar10: { type: 'string' },
    'train-rows': { type: 'string', default: '4000' },
    'heldout-rows': { type: 'string', default: '400' },
    epochs: { type: 'string', default: '10' },
    'speed-seconds': { type: 'string', default: '2' },
    /** What the first version must reach: the digits are easier than CIFAR-10. */
    'min-accuracy': { type: 'string' },
    'speed-batches': { type: 'string', default: '1,32' },
    /** By how much the second version may be less right than the first. */
    'max-drop': { type: 'string', default: '3%' },
    'no-keras': { type: 'boolean', default: false },
  },
});
const minAccuracy = given['min-accuracy'] ?? (given.cifar10 === undefined ? '85%' : '50%');
const work = path.resolve(given.work);
const at = (...names) => path.join(work, ...names);
const here = (name) => path.join(HERE, name);
const data = { train: at('data/train.npz'), heldout: at('data/heldout.npz'), pictures: at('data/heldout') };
const described = ['--labels', at('data/labels.txt'), '--preprocessing', here('preprocessing.json')];
const seconds = {};

rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });

await step('data', async () => {
  const rows = ['--train-rows', given['train-rows'], '--heldout-rows', given['heldout-rows']];
  const source = given.cifar10 === undefined ? [] : ['--cifar10', path.resolve(given.cifar10)];
  await python('sklearn', 'data.py', '--output', at('data'), ...rows, ...source);
});
await step('train with PyTorch', () => train('torch', 'train_torch.py', at('torch')));
if (!given['no-keras']) await step('train with Keras', () => train('tensorflow', 'train_keras.py', at('keras')));

await step('convert', async () => {
  const names = ['--input', TAKES, '--output-name', 'probabilities', '--samples', samples()];
  await model(
    'convert',
    `${here('network.py')}:build`,
    '--weights',
    at('torch/weights.pt'),
    ...names,
    '-o',
    at('torch.onnx'),
  );
  await model('convert', at('torch/scripted.pt'), ...names, '-o', at('torchscript.onnx'));
  if (!given['no-keras']) await model('convert', at('keras/cifar.keras'), '-o', at('keras.onnx'));
});
await step('inspect', () => model('inspect', at('torch.onnx'), '--batch', '1'));
await step('optimize', () =>
  model('optimize', at('torch.onnx'), '--samples', data.heldout, '-o', at('optimized.onnx')),
);
await step('quantize', () => quantize('torch', 'int8'));
await step('prune by magnitude', async () => {
  // What is allowed to change is said here, and what that costs is in the table.
  const allowed = ['--samples', data.heldout, '--min-agreement', '0.5', '--tolerance', '1'];
  await model(
    'prune',
    at('torch.onnx'),
    '--method',
    'magnitude',
    '--sparsity',
    '0.7',
    ...allowed,
    '-o',
    at('dense-zeros.onnx'),
  );
  await model('sparsify', at('dense-zeros.onnx'), '-o', at('zeros.onnx'));
});
await step('prune channels', () => prune('0.5', 'pruned'));
await step('fine-tune what is left', async () => {
  // The source teaches what was pruned: student.py makes the smaller network, and the weights that are left begin.
  await python('torch', 'pruned_weights.py', at('pruned.onnx'), at('pruned.pt'));
  await distil('build_pruned', 'tuned', 1, '--student-weights', at('pruned.pt'));
});
// It begins with nothing, and the one before began with what was left.
await step('distil', () => distil('build', 'student', 2));
await step('compile', () => model('compile', at('int8.onnx'), '--samples', data.heldout, '-o', at('compiled')));
await step('quantize the student', () => quantize('student/student', 'student-int8'));

const files = {
  torch: 'torch.onnx',
  torchscript: 'torchscript.onnx',
  ...(given['no-keras'] ? {} : { keras: 'keras.onnx' }),
  optimized: 'optimized.onnx',
  int8: 'int8.onnx',
  compiled: 'compiled/model.onnx',
  zeros: 'zeros.onnx',
  pruned: 'pruned.onnx',
  tuned: 'tuned.onnx',
  student: 'student.onnx',
  'student-int8': 'student-int8.onnx',
};
for (const name of ['tuned', 'student']) writeFileSync(at(`${name}.onnx`), readFileSync(at(name, 'student.onnx')));

await step('evaluate', async () => {
  const { torch, ...others } = files;
  await evaluate([at(torch)], 'torch-evaluation.json', ['--min-accuracy', minAccuracy]);
  // The model that is to be published is asked for, the first to compare with is what the others are held against.
  const { compiled, ...rest } = others;
  const models = [compiled, torch, ...Object.values(rest)].map((name) => at(name));
  await evaluate(models, 'compiled-evaluation.json', ['--max-drop', given['max-drop']]);
});
const evaluation = JSON.parse(readFileSync(at('compiled-evaluation.json'), 'utf8'));
const rows = rowsOf(evaluation, files);

const rollout = await step('publish, serve, canary and rollback', () =>
  rollOut({ at, model, evaluate, prune, described, maxDrop: given['max-drop'], pictures: data.pictures }),
);

const report = {
  data: given.cifar10 === undefined ? "scikit-learn's digits, 3x32x32" : 'CIFAR-10',
  settings: {
    epochs: Number(given.epochs),
    trainRows: Number(given['train-rows']),
    heldoutRows: evaluation.dataset.rows,
  },
  machine: { processor: cpus()[0].model, cores: cpus().length, ...evaluation.tools },
  seconds,
  models: rows,
  rollout,
};
writeFileSync(at('report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
writeFileSync(at('table.md'), `${markdownTable(rows)}\n`);
console.log(`\n${markdownTable(rows)}\n\n${JSON.stringify(rollout, undefined, 2)}\n\n${at('report.json')}`);

async function step(name, run) {
  console.error(`\n# ${name}`);
  const began = performance.now();
  const result = await run();
  seconds[name] = Number(((performance.now() - began) / 1_000).toFixed(1));
  return result;
}

function model(...words) {
  return slipway('model', ...words);
}

async function python(set, program, ...words) {
  const { python: interpreter } = await pythonFor(set, { progress: (text) => console.error(text) });
  await runProgram(interpreter, [here(program), ...words]);
}

function train(set, program, output) {
  return python(set, program, '--data', data.train, '--output', output, '--epochs', given.epochs);
}

/** Real rows to compare on: the numbers that `convert` makes by itself say little about pictures. */
function samples() {
  return data.heldout;
}

function quantize(source, target) {
  const rows = ['--calibration', data.train, '--samples', data.heldout, '--min-agreement', '0.9', '--tolerance', '0.5'];
  return model('quantize', at(`${source}.onnx`), ...rows, '-o', at(`${target}.onnx`));
}

function prune(ratio, target) {
  // Nothing is asked of it: fine-tuning comes after it, and the table says what it is worth before.
  const allowed = ['--samples', data.heldout, '--min-agreement', '0', '--tolerance', '2'];
  return model(
    'prune',
    at('torch.onnx'),
    '--method',
    'channels',
    '--ratio',
    ratio,
    ...allowed,
    '-o',
    at(`${target}.onnx`),
  );
}

/** @param times the epochs of the teacher's own training */
function distil(factory, target, times, ...more) {
  const epochs = String(times * Number(given.epochs));
  const rows = ['--data', data.train, '--validation', data.heldout, '--epochs', epochs, '--learning-rate', '0.002'];
  return model('distil', at('torch.onnx'), `${here('student.py')}:${factory}`, ...rows, ...more, '-o', at(target));
}

/** @param gates what the first model must keep to; @param expected statuses that are no failure of this run */
function evaluate([subject, ...others], report, gates, expected) {
  const compare = others.flatMap((other) => ['--compare', other]);
  const speed = ['--speed-seconds', given['speed-seconds'], '--speed-batches', given['speed-batches']];
  const words = [
    subject,
    ...compare,
    '--data',
    data.pictures,
    '--task',
    'classification',
    ...described,
    ...speed,
    ...gates,
  ];
  return slipway(
    'model',
    'evaluate',
    ...words,
    '--report',
    at(report),
    ...(expected === undefined ? [] : [{ expected }]),
  );
}
