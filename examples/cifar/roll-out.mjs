// Publishes two versions, lets the new one take a share of the requests, promotes it, plants a regression, and goes back.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { predict, startServer } from '../local-server.mjs';

const NAME = 'cifar';
const REQUESTS = 100;
const CANARY_PERCENT = 20;
const PATIENCE_MS = 30_000;
/** The exit status of gates that say no. */
const REFUSED = 4;

/** @returns what was seen at each step, for the report */
export async function rollOut({ at, model, evaluate, prune, described, maxDrop, pictures }) {
  const repository = at('repository');
  const publish = (file, evaluation, ...more) =>
    model(
      'publish',
      at(file),
      repository,
      '--name',
      NAME,
      ...described,
      '--evaluation',
      at(evaluation),
      '--licence',
      'Apache-2.0',
      ...more,
    );
  const promote = (version, label) => model('promote', repository, NAME, String(version), label);

  const golden = pictureOf(pictures, 'seven');
  await publish('torch.onnx', 'torch-evaluation.json', '--golden', golden);
  await promote(1, 'stable');
  const flags = ['--model-repository', repository, '--require-evidence', '--hot-reload', '--reload-seconds', '0.5'];
  const server = await startServer(...flags);
  try {
    const answer = await ask(server.url, golden);

    await publish('compiled/model.onnx', 'compiled-evaluation.json', '--golden', golden);
    await promote(2, 'canary');
    weigh(repository, CANARY_PERCENT);
    await until(() => isReady(server.url, 2));
    const shares = await countVersions(server.url, golden);

    await promote(2, 'stable');
    weigh(repository, 0);
    const promoted = await until(async () => onlyVersion(await countVersions(server.url, golden, 10), '2'));

    // A regression, planted: nine of ten channels gone, and nobody fine-tuned what is left.
    await prune('0.9', 'broken');
    const models = [at('broken.onnx'), at('torch.onnx')];
    const gate = await evaluate(models, 'broken-evaluation.json', ['--max-drop', maxDrop], [REFUSED]);
    const refused = await refusal(at(), () => publish('broken.onnx', 'broken-evaluation.json'));

    // The same with a gate that asks for too little: it gets in, requests show what it is, and the label goes back.
    await evaluate(models, 'lenient-evaluation.json', ['--min-accuracy', '1%']);
    await publish('broken.onnx', 'lenient-evaluation.json', '--golden', golden);
    await promote(3, 'stable');
    await until(async () => onlyVersion(await countVersions(server.url, golden, 10), '3'));
    const endpoint = `${server.url}/v2/models/${NAME}`;
    const seen = await evaluate(
      [endpoint, at('torch.onnx')],
      'served-evaluation.json',
      ['--max-drop', maxDrop],
      [REFUSED],
    );
    const { out } = await model('rollback', repository, NAME, 'stable');
    const back = await until(async () => onlyVersion(await countVersions(server.url, golden, 10), '2'));
    return {
      answer,
      canary: { percent: CANARY_PERCENT, requests: REQUESTS, answeredBy: shares },
      promoted,
      regression: {
        gateExitStatus: gate.status,
        publishRefused: refused,
        servedAccuracy: JSON.parse(readFileSync(at('served-evaluation.json'), 'utf8')).metrics.accuracy,
        servedGateExitStatus: seen.status,
        rollback: out.trim(),
        answeredAfterwardsBy: back,
      },
    };
  } finally {
    await server.stop();
  }
}

/** A picture as a user sends it. */
async function ask(url, file) {
  const [{ label, score }] = await predict(url, NAME, 'image/png', readFileSync(file));
  return { picture: path.basename(path.dirname(file)), label, score: Number(score.toFixed(4)) };
}

/** How many of some requests, none of which names a version, each version answered: its own counters say it. */
async function countVersions(url, file, requests = REQUESTS) {
  const before = await inferenceCounts(url);
  for (let i = 0; i < requests; i++) await ask(url, file);
  const after = await inferenceCounts(url);
  const counts = Object.entries(after).map(([version, count]) => [version, count - (before[version] ?? 0)]);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

async function inferenceCounts(url) {
  const { model_stats: stats } = await (await fetch(`${url}/v2/models/${NAME}/stats`)).json();
  return Object.fromEntries(stats.map(({ version, inference_count: count }) => [version, count]));
}

async function isReady(url, version) {
  return (await fetch(`${url}/v2/models/${NAME}/versions/${version}/ready`)).ok;
}

function onlyVersion(counts, version) {
  return Object.keys(counts).join() === version ? counts : undefined;
}

/** Parts of 100 that are the canary's; the rest is stable's. Without weights, requests would go to the newest version. */
function weigh(repository, canary) {
  const file = path.join(repository, NAME, 'version-labels.json');
  const labels = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...labels, weights: { canary } }, undefined, 2));
}

function pictureOf(pictures, label) {
  const classes = readdirSync(pictures);
  const folder = path.join(pictures, classes.includes(label) ? label : classes[0]);
  return path.join(folder, readdirSync(folder).sort()[0]);
}

async function refusal(folder, run) {
  try {
    await run();
  } catch (error) {
    // Where the example lies on this machine is nobody's business.
    return error.message.trim().split('\n').at(-1).replaceAll(`${folder}/`, '');
  }
  throw new Error('a version that failed its gate was published');
}

async function until(probe) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error('the server did not follow its repository in time');
    await wait(200);
  }
}
