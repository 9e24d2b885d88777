// Records in, ratings out: data, training, conversion, evaluation of records, publishing with the names of users and items, and a call.
//
//   node examples/recommender/run.mjs [--work .slipway/recommender] [--epochs 30]
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pythonFor } from 'slipway/runtime';
import { runProgram, slipway } from '../commands.mjs';
import { predict, startServer } from '../local-server.mjs';

const USER = 'user-07';
/** A shortlist: the rows of one request are at most a batch, 32. */
const ITEMS = Array.from({ length: 30 }, (_, i) => `item-${String(i).padStart(2, '0')}`);

const { values: given } = parseArgs({
  options: {
    work: { type: 'string', default: '.slipway/recommender' },
    epochs: { type: 'string', default: '30' },
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

const names = ['--input', 'pair=int64[batch,2]', '--output-name', 'rating', '--samples', at('data/sample.npz')];
const source = ['--weights', at('weights.pt'), ...names];
await slipway('model', 'convert', `${here('network.py')}:build`, ...source, '-o', at('model.onnx'));

const described = ['--preprocessing', at('data/preprocessing.json')];
const rows = ['--data', at('data/heldout.csv'), '--task', 'regression', '--label-column', 'rating'];
// Ratings are 1 to 5; who always says the mean is wrong by 0.7 on average.
const gates = ['--max', 'meanAbsoluteError=0.5', '--speed-seconds', '1', '--report', at('evaluation.json')];
await slipway('model', 'evaluate', at('model.onnx'), ...rows, ...described, ...gates);

writeFileSync(at('golden.json'), JSON.stringify({ user: USER, item: ITEMS[0] }));
const proof = ['--golden', at('golden.json'), '--evaluation', at('evaluation.json')];
await slipway('model', 'publish', at('model.onnx'), at('repository'), '--name', 'ratings', ...described, ...proof);

const server = await startServer('--model-repository', at('repository'), '--require-evidence');
try {
  const instances = ITEMS.map((item) => ({ user: USER, item }));
  const predictions = await predict(server.url, 'ratings', 'application/json', JSON.stringify({ instances }));
  const best = ITEMS.map((item, i) => ({ item, rating: Number(predictions[i][0].toFixed(2)) }))
    .sort((one, other) => other.rating - one.rating)
    .slice(0, 3);
  const { metrics, dataset } = JSON.parse(readFileSync(at('evaluation.json'), 'utf8'));
  const report = { rows: dataset.rows, meanAbsoluteError: metrics.meanAbsoluteError, user: USER, best };
  writeFileSync(at('report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(JSON.stringify(report, undefined, 2));
} finally {
  await server.stop();
}
