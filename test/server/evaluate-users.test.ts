import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import type { ClientRequest } from 'node:http';
import path from 'node:path';
import sharp from 'sharp';
import { expect, onTestFinished, test } from 'vitest';
import { openEndpoint, type EndpointOptions } from '../../runtime/model/evaluate/endpoint/open-endpoint';
import { evaluateModels, type EvaluationOptions } from '../../runtime/model/evaluate/evaluate-models';
import { openEvaluatedFile } from '../../runtime/model/evaluate/open-evaluated-file';
import { digestPreprocessing, readPreprocessingFile } from '../../runtime/model/preprocessing-file';
import { publishModel } from '../../runtime/model/publish-model';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { toolError } from '../model/data/support';
import { buildModel, floatTensor, identityModel, int64Tensor, intAttribute, node, value } from '../support/onnx-models';
import { temporaryFolder } from './harness/model-repository';
import { request, startServer } from './harness/running-server';

/** The mean of each channel is the score of its colour: the picture of a class decides, whatever its size. */
const COLOURS = buildModel({
  node: [node('GlobalAveragePool', ['image'], ['mean']), node('Flatten', ['mean'], ['scores'])],
  input: [value('image', 'FP32', ['n', 3, 4, 6])],
  output: [value('scores', 'FP32', ['n', 3])],
});
const NAMES = ['red', 'green', 'blue'];
const FILLS = ['#f00', '#0f0', '#00f'];
/** Blue is hardly seen: without this preprocessing every blue picture would be right, with it none is. */
const IMAGE = { kind: 'image', scale: 1, mean: [0, 0, 300], deviation: [1, 1, 1] };

/** A text of more than five tokens is long; the ids come back beside the scores. */
const LENGTHS = buildModel({
  node: [
    node('ReduceSum', ['mask', 'axis'], ['count']),
    node('Sub', ['count', 'five'], ['long']),
    node('Neg', ['long'], ['short']),
    node('Concat', ['long', 'short'], ['scores'], [intAttribute('axis', 1)]),
    node('Identity', ['count'], ['tokens']),
  ],
  input: [value('ids', 'INT64', ['n', 'length']), value('mask', 'FP32', ['n', 'length'])],
  output: [value('scores', 'FP32', ['n', 2]), value('tokens', 'FP32', ['n', 1])],
  initializer: [int64Tensor('axis', [1], [1n]), floatTensor('five', [], [5])],
});

async function served() {
  const folder = temporaryFolder();
  const file = (name: string, content: string | Uint8Array): string => {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
    return path.join(folder, name);
  };
  copyFileSync(path.join(__dirname, '../fixtures/tokenizers/wordpiece.json'), path.join(folder, 'tokenizer.json'));
  const repository = path.join(folder, 'repository');
  const image = file('image.json', JSON.stringify(IMAGE));
  const text = file(
    'text.json',
    JSON.stringify({ ids: { kind: 'text', tokenizer: 'tokenizer.json', maxLength: 12, feeds: { mask: 'mask' } } }),
  );
  const columns = file('columns.json', JSON.stringify({ kind: 'columns', columns: [{ name: 'age', mean: 40 }] }));
  const publish = (name: string, model: Uint8Array, preprocessingFile: string, labels?: string) =>
    publishModel({
      name,
      source: file(`${name}.onnx`, model),
      repository,
      preprocessingFile,
      golden: false,
      ...(labels === undefined ? {} : { labelsFile: file(`${name}.txt`, labels), labelsOutput: 'scores' }),
    });
  await publish('colours', COLOURS, image, `${NAMES.join('\n')}\n`);
  await publish('lengths', LENGTHS, text, 'long\nshort\n');
  await publish('ages', identityModel({ shape: ['n', 1] }), columns);

  const pictures = path.join(folder, 'pictures');
  for (const [i, name] of NAMES.entries()) {
    for (const [shade, size] of [9, 24].entries()) {
      const png = sharp({ create: { width: size, height: size, channels: 3, background: FILLS[i]! } }).png();
      file(`pictures/${name}/${shade}.png`, await png.toBuffer());
    }
  }
  const server = await startServer({
    modelRepository: repository,
    vertexPredictRoute: '/vertex',
    vertexHealthRoute: '/ok',
  });
  return { folder, file, repository, image, pictures, server };
}

/** What every request says that it sends, and wants: tensors are answered as JSON, users' data so that no number is lost. */
function sentTypes(): string[] {
  const types: string[] = [];
  const note = (message: unknown): void => {
    const { request: sent } = message as { readonly request: ClientRequest };
    if (sent.method === 'POST')
      types.push(`${String(sent.getHeader('Content-Type'))}, ${String(sent.getHeader('Accept'))}`);
  };
  subscribe('http.client.request.start', note);
  onTestFinished(() => void unsubscribe('http.client.request.start', note));
  return types;
}

async function open(options: EndpointOptions) {
  const opened = await openEndpoint(options);
  onTestFinished(() => opened.model.close());
  return opened;
}

const classify = (data: string, more: Partial<EvaluationOptions> = {}): EvaluationOptions => ({
  data,
  task: 'classification',
  speed: false,
  ...more,
});

test('over /predict an endpoint is sent pictures as users send them, and gets right what its preprocessing lets it', async () => {
  const { repository, image, pictures, server } = await served();
  const types = sentTypes();
  const endpoint = await open({ url: server.url, protocol: 'predict', model: 'colours' });
  const options = classify(pictures, { classNames: NAMES });
  const report = await evaluateModels([endpoint], options);
  // Four of six: blue is taken for another colour, as its users see it.
  expect(report.metrics).toMatchObject({ accuracy: 4 / 6 });
  expect(types).toEqual(['application/json, application/x-npy']);
  const facts = readOnnxModel(path.join(repository, 'colours/1/model.onnx')).facts;
  expect(report.preprocessing).toEqual({
    sha256: await digestPreprocessing(await readPreprocessingFile(image, facts)),
  });

  // Every number of an answer is read, not only the classes that people are shown: log loss is that of the file.
  const file = await openEvaluatedFile(path.join(repository, 'colours/1'));
  onTestFinished(() => file.model.close());
  const compared = await evaluateModels([endpoint, file], options);
  expect(compared.metrics).toMatchObject({ agreement: 1, drop: 0 });
  expect(compared.metrics['logLoss']).toBeCloseTo(compared.models[1]!.result.metrics['logLoss']!, 4);

  types.length = 0;
  const one = await evaluateModels([endpoint], { ...options, batchSize: 1, maxRows: 2 });
  expect(one.metrics['accuracy']).toBe(0);
  expect(types).toEqual(['image/png, application/x-npy', 'image/png, application/x-npy']);

  const sagemaker = await open({ url: server.url, protocol: 'sagemaker', model: 'colours' });
  expect((await evaluateModels([sagemaker], options)).metrics).toMatchObject({ accuracy: 4 / 6 });
});

test('with the preprocessing of an example, an endpoint says of pictures what its file says', async () => {
  const { file, folder, pictures } = await served();
  const model = buildModel({
    node: [node('GlobalAveragePool', ['image'], ['mean']), node('Flatten', ['mean'], ['scores'])],
    input: [value('image', 'FP32', ['n', 3, 32, 32])],
    output: [value('scores', 'FP32', ['n', 3])],
  });
  const repository = path.join(folder, 'examples');
  await publishModel({
    name: 'cifar',
    source: file('cifar.onnx', model),
    repository,
    preprocessingFile: path.join(__dirname, '../../examples/cifar/preprocessing.json'),
    labelsFile: file('cifar.txt', `${NAMES.join('\n')}\n`),
    golden: false,
  });
  const { url } = await startServer({ modelRepository: repository });
  const endpoint = await open({ url: `${url}/v2/models/cifar`, protocol: 'predict' });
  const published = await openEvaluatedFile(path.join(repository, 'cifar/1'));
  onTestFinished(() => published.model.close());
  const report = await evaluateModels([endpoint, published], classify(pictures, { classNames: NAMES }));
  expect(report.metrics).toMatchObject({ accuracy: 1, agreement: 1 });
  const own = await evaluateModels([published], classify(pictures));
  expect(report.preprocessing).toEqual(own.preprocessing);
});

test('an endpoint that is asked for tensors is not sent pictures that nobody prepared', async () => {
  const { pictures, image, server } = await served();
  const options = classify(pictures, { classNames: NAMES });
  for (const target of [
    { url: server.url, protocol: 'v2' },
    { url: `http://127.0.0.1:${server.grpcPort}`, protocol: 'grpc' },
  ] as const) {
    const tensors = await open({ ...target, model: 'colours' });
    const error = await toolError(evaluateModels([tensors], options));
    expect(error).toMatchObject({ code: 'DATA_MISFIT' });
    expect(error.message).toContain('--protocol predict sends it pictures as users do, or give --preprocessing');
    const preprocessing = await readPreprocessingFile(image, tensors.model);
    const report = await evaluateModels([{ ...tensors, preprocessing }], options);
    expect(report.metrics).toMatchObject({ accuracy: 4 / 6 });
  }
});

test('texts and records are sent as users send them, several outputs and speed included', async () => {
  const { file, server } = await served();
  const types = sentTypes();
  const texts = file(
    'texts.csv',
    'text,label\n"the quick, brown fox jumps",long\nfox,short\nthe fox,short\n"the quick brown fox jumps over",short\n',
  );
  const lengths = await open({ url: server.url, protocol: 'predict', model: 'lengths' });
  const speed = { batchSizes: [1, 3], rounds: 1, minRuns: 2, seconds: 0 };
  const report = await evaluateModels([lengths], { ...classify(texts), classNames: ['long', 'short'], speed });
  expect(report.metrics).toMatchObject({ accuracy: 3 / 4 });
  expect(report.models[0]!.speed).toMatchObject([{ batchSize: 1 }, { batchSize: 3 }]);
  expect(types.length).toBeGreaterThan(4);
  expect(new Set(types)).toEqual(new Set(['application/json, text/csv']));

  const ages = file('ages.jsonl', '{"inputs": {"age": 47}, "label": 7}\n{"inputs": {"age": 40}, "label": 1}\n');
  const records = await open({ url: server.url, protocol: 'predict', model: 'ages' });
  const regression = await evaluateModels([records], { data: ages, task: 'regression', speed: false });
  expect(regression.metrics).toMatchObject({ meanAbsoluteError: 0.5 });

  // Who gives a file to compare with that nobody says the preprocessing of is told so.
  const plain = await openEvaluatedFile(file('plain.onnx', identityModel({ shape: ['n', 1] })));
  onTestFinished(() => plain.model.close());
  const both = evaluateModels([records, plain], { data: ages, task: 'regression', speed: false });
  expect((await toolError(both)).message).toContain('takes tensors, and nobody here says how rows become them');
});

test('Vertex AI is answered as /predict is, by what users have', async () => {
  const folder = temporaryFolder();
  const file = (name: string, content: string | Uint8Array): string => {
    writeFileSync(path.join(folder, name), content);
    return path.join(folder, name);
  };
  const repository = path.join(folder, 'repository');
  await publishModel({
    name: 'colours',
    source: file('colours.onnx', COLOURS),
    repository,
    preprocessingFile: file('image.json', JSON.stringify(IMAGE)),
    labelsFile: file('labels.txt', 'red\ngreen\nblue\n'),
    golden: false,
  });
  const server = await startServer({ modelRepository: repository, vertexPredictRoute: '/vertex:predict' });
  const png = await sharp({ create: { width: 3, height: 3, channels: 3, background: '#0f0' } })
    .png()
    .toBuffer();
  const ask = (instances: unknown) =>
    request(`${server.url}/vertex:predict`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: Buffer.from(JSON.stringify({ instances })),
    });
  const answer = await ask([{ b64: png.toString('base64') }]);
  expect(answer).toMatchObject({ status: 200, json: { predictions: [{ label: 'green', score: 255 }] } });
  const tensor = await ask([new Array(3).fill(new Array(4).fill([1, 2, 3, 4, 5, 6]))]);
  expect(tensor.json.predictions).toEqual([[3.5, 3.5, 3.5]]);
});
