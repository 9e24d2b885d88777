// Every command of `slipway model` as a function, from a trained network to a label of a published version.
import { writeFile } from 'node:fs/promises';
import {
  clusterModel,
  collectGarbage,
  compileModel,
  convertModel,
  diffVersions,
  distilModel,
  evaluateModels,
  inspectModel,
  listVersions,
  openEvaluatedFile,
  openModelStore,
  optimizeModel,
  parseInput,
  promoteVersion,
  pruneModel,
  publishModel,
  pullVersion,
  quantizeModel,
  readClientModel,
  renderPythonClient,
  renderTypescriptClient,
  rollBackLabel,
  runPipeline,
  searchModels,
  sparsifyModel,
} from 'slipway/runtime';

/** These need Python, and make an environment for it the first time. */
export async function makeModels(progress: (line: string) => void): Promise<string> {
  const { output } = await convertModel({
    source: 'network.py:build',
    weights: 'trained.pt',
    inputs: [parseInput('image=float32[batch,3,32,32]')],
    output: 'model.onnx',
    progress,
  });
  await optimizeModel({ source: output.path, output: 'simple.onnx', simplify: true, onProgress: progress });
  const { detail } = await quantizeModel({
    source: 'simple.onnx',
    output: 'int8.onnx',
    calibration: 'rows.npz',
    excludeMost: 'auto',
    minAgreement: 0.98,
  });
  progress(`${(detail.sizeRatio * 100).toFixed(0)} % of the bytes`);
  const { student } = await distilModel({
    teacher: output.path,
    student: 'student.py:build',
    data: 'rows.npz',
    validation: 'heldout.npz',
    output: 'student',
    epochs: 20,
  });
  const { chosen, nearest } = await searchModels({
    source: student.path,
    data: 'heldout.npz',
    task: 'classification',
    output: 'search',
    constraints: { maxDrop: 0.01, maxLatencyMs: 5 },
    prefer: 'latency',
    speed: { seconds: 1 },
  });
  if (chosen === undefined) throw new Error(`nothing keeps the limits; the nearest is ${nearest ?? 'none'}`);
  return 'search/chosen/model.onnx';
}

/** These do not. @returns the model that is to be published */
export async function makeSmaller(source: string): Promise<string> {
  const { refusal, findings } = inspectModel(source, { batch: 8, executionProvider: 'cuda' });
  if (refusal !== undefined) throw refusal;
  for (const { severity, message } of findings) console.error(severity, message);
  await pruneModel({ source, output: 'pruned.onnx', method: { kind: 'magnitude', sparsity: 0.8 }, tolerance: 0.1 });
  await sparsifyModel({ source: 'pruned.onnx', output: 'sparse.onnx' });
  await clusterModel({ source, output: 'clustered.onnx', clusters: 16, samples: 'rows.npz', minAgreement: 0.95 });
  const { folder, allowedBatchSizes } = await compileModel({ source: 'clustered.onnx', output: 'compiled' });
  console.error(`batches of ${allowedBatchSizes.join(', ')}`);
  return `${folder}/model.onnx`;
}

/** @returns the version that now has the label */
export async function publish(source: string, repository: string): Promise<number> {
  const subject = await openEvaluatedFile(source);
  const report = await evaluateModels([subject], {
    data: 'heldout.npz',
    task: 'classification',
    gates: [{ metric: 'accuracy', bound: 'min', limit: 0.95 }],
    speed: { batchSizes: [1, 8] },
  });
  await subject.model.close();
  await writeFile('evaluation.json', JSON.stringify(report));
  const { manifest, uri } = await publishModel({
    source,
    name: 'digits',
    repository,
    evaluationFile: 'evaluation.json',
    licence: 'Apache-2.0',
    sbom: true,
  });
  const store = await openModelStore(repository);
  const { from, version } = await promoteVersion(store, 'digits', manifest.version, 'production');
  if (from !== undefined) {
    for (const { what, first, second } of await diffVersions(store, 'digits', from, version)) {
      console.error(what, first, second);
    }
  }
  const versions = await listVersions(store, 'digits');
  console.error(versions.map((each) => `${each.version} ${each.labels.join()}`).join('\n'));
  await collectGarbage(store, { model: 'digits', keep: 5, protect: ['digits/1'] });
  await pullVersion({ version: uri, directory: 'local', manifestOnly: true });
  return version;
}

export async function goBack(repository: string): Promise<number> {
  return (await rollBackLabel(await openModelStore(repository), 'digits', 'production')).version;
}

export async function writeClients(manifestFile: string): Promise<void> {
  const model = readClientModel(manifestFile);
  await writeFile('client.ts', renderTypescriptClient(model));
  await writeFile('client.py', renderPythonClient(model));
}

/** All of it from a file. @returns the version that was published */
export async function fromFile(file: string, signal: AbortSignal): Promise<number | undefined> {
  const { version, outcomes, failure } = await runPipeline({ file, signal, onLine: (line) => console.error(line) });
  for (const { name, status, seconds } of outcomes) console.error(name, status, seconds);
  if (failure !== undefined) throw failure;
  return version;
}
