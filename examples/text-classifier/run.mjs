// Sentences in, names of classes out: data, training, conversion, evaluation of sentences, publishing with the tokenizer, and a call.
//
//   node examples/text-classifier/run.mjs [--work .slipway/text-classifier] [--epochs 6]
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pythonFor } from 'slipway/runtime';
import { runProgram, slipway } from '../commands.mjs';
import { predict, startServer } from '../local-server.mjs';

const SENTENCES = ['Hello, where is my new camera?', 'I was charged twice.', 'The lamp does not turn on any more!'];

const { values: given } = parseArgs({
  options: {
    work: { type: 'string', default: '.slipway/text-classifier' },
    epochs: { type: 'string', default: '6' },
  },
});
const HERE = path.dirname(fileURLToPath(import.meta.url));
const here = (name) => path.join(HERE, name);
const at = (...names) => path.join(path.resolve(given.work), ...names);
rmSync(at(), { recursive: true, force: true });
mkdirSync(at(), { recursive: true });

const { python } = await pythonFor('torch', { progress: (text) => console.error(text) });
await runProgram(python, [here('data.py'), '--output', at('data')]);
const training = ['--data', at('data'), '--output', at('weights.pt'), '--epochs', given.epochs];
await runProgram(python, [here('train.py'), ...training]);

const takes = ['--input', 'ids=int64[batch,length]', '--input', 'mask=int64[batch,length]'];
const names = [...takes, '--output-name', 'topic', '--samples', at('data/sample.npz')];
const source = ['--weights', at('weights.pt'), ...names];
await slipway('model', 'convert', `${here('network.py')}:build`, ...source, '-o', at('model.onnx'));

const described = ['--labels', at('data/labels.txt'), '--preprocessing', at('data/preprocessing.json')];
const rows = ['--data', at('data/heldout.csv'), '--task', 'classification', '--speed-seconds', '1'];
const gates = ['--min-accuracy', '90%', '--report', at('evaluation.json')];
await slipway('model', 'evaluate', at('model.onnx'), ...rows, ...described, ...gates);

writeFileSync(at('golden.txt'), SENTENCES[0]);
const proof = ['--golden', at('golden.txt'), '--evaluation', at('evaluation.json')];
await slipway('model', 'publish', at('model.onnx'), at('repository'), '--name', 'topics', ...described, ...proof);

const server = await startServer('--model-repository', at('repository'), '--require-evidence');
try {
  const answers = [];
  for (const text of SENTENCES) {
    const [best] = await predict(server.url, 'topics', 'text/plain', text);
    answers.push({ text, label: best.label, score: Number(best.score.toFixed(4)) });
  }
  const { metrics, dataset } = JSON.parse(readFileSync(at('evaluation.json'), 'utf8'));
  const report = { rows: dataset.rows, accuracy: metrics.accuracy, answers };
  writeFileSync(at('report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(JSON.stringify(report, undefined, 2));
} finally {
  await server.stop();
}
