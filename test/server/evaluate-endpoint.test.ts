import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { parseRetryAfter } from '../../runtime/model/evaluate/endpoint/ask-again';
import { decodeInferResponse, encodeInferRequest } from '../../runtime/model/evaluate/endpoint/grpc-codec';
import {
  ENDPOINT_PROTOCOLS,
  openEndpoint,
  type EndpointOptions,
} from '../../runtime/model/evaluate/endpoint/open-endpoint';
import { evaluateModels } from '../../runtime/model/evaluate/evaluate-models';
import { evidenceOf } from '../../runtime/model/evaluate/evaluation-report';
import { openEvaluatedFile } from '../../runtime/model/evaluate/open-evaluated-file';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { toolError, writeData } from '../model/data/support';
import { DIGITS_MODEL, digitsNpz } from '../model/evaluate/digits-data';
import { identityModel, twoInputsModel } from '../support/onnx-models';
import { plainRepository, publishedRepository } from './harness/model-repository';
import { startServer } from './harness/running-server';

const ROWS = 60;
const MISLABELLED = 6;

async function open(options: EndpointOptions) {
  const evaluated = await openEndpoint(options);
  onTestFinished(() => evaluated.model.close());
  return evaluated;
}

test('over every protocol an endpoint gets the same right as its file', async () => {
  const modelRepository = await publishedRepository('digits', DIGITS_MODEL);
  const { url, grpcPort } = await startServer({ modelRepository, vertexPredictRoute: '/v1/endpoints/1:predict' });
  const data = digitsNpz({ rows: ROWS, mislabelled: MISLABELLED });
  const options = { data, task: 'classification', speed: false, batchSize: 16 } as const;
  const file = await openEvaluatedFile(DIGITS_MODEL);
  onTestFinished(() => file.model.close());
  const signature = readOnnxModel(DIGITS_MODEL).facts;
  const expected = (await evaluateModels([file], options)).metrics;
  expect(expected['accuracy']).toBe((ROWS - MISLABELLED) / ROWS);

  for (const protocol of ENDPOINT_PROTOCOLS) {
    const place = {
      grpc: `http://127.0.0.1:${grpcPort}`,
      vertex: `${url}/v1/endpoints/1:predict`,
      sagemaker: `${url}/invocations`,
      predict: `${url}/predict`,
    };
    const isAlone = protocol === 'vertex' || protocol === 'sagemaker' || protocol === 'predict';
    const target = isAlone ? { signature } : { model: 'digits' };
    const endpoint = await open({ url: protocol in place ? place[protocol as 'grpc'] : url, protocol, ...target });
    const report = await evaluateModels([endpoint, file], {
      ...options,
      gates: [{ metric: 'agreement', bound: 'min', limit: 1 }],
    });
    expect(report.metrics, protocol).toMatchObject({
      accuracy: expected['accuracy'],
      f1Macro: expected['f1Macro'],
      agreement: 1,
      drop: 0,
    });
    expect(report.metrics['logLoss'], protocol).toBeCloseTo(expected['logLoss']!, 5);
    expect(evidenceOf(report), protocol).toBeUndefined();
    expect(report.models[0], protocol).not.toHaveProperty('fileBytes');
  }
});

test('the URL may name model and version, and the endpoint is timed like a file', async () => {
  const modelRepository = await publishedRepository('digits', DIGITS_MODEL);
  const { url } = await startServer({ modelRepository });
  const endpoint = await open({ url: `${url}/v2/models/digits/versions/1` });
  expect(endpoint.name).toBe('digits (v2-binary)');
  const speed = { batchSizes: [2], rounds: 2, minRuns: 4, seconds: 0 };
  const report = await evaluateModels([endpoint], { data: digitsNpz({ rows: 4 }), task: 'classification', speed });
  expect(report.models[0]!.speed).toMatchObject([{ batchSize: 2, runs: 4 }]);
  expect(report.speed!['p50Ms']).toBeGreaterThan(0);
});

test('several inputs, several outputs and text travel in every protocol', async () => {
  const modelRepository = plainRepository({
    pair: twoInputsModel(),
    text: identityModel({ datatype: 'BYTES', shape: ['batch'] }),
  });
  const { url, grpcPort } = await startServer({ modelRepository });
  const pair = writeData(
    'pair.jsonl',
    '{"inputs":{"left":[1,2,3],"right":[4,1,3]},"label":[5,3,6]}\n{"inputs":{"left":[0,0,0],"right":[-1,1,0.5]},"label":[-1,1,0.5]}\n',
  );
  const text = writeData(
    'text.jsonl',
    ['é', '', 'NaN'].map((each, i) => JSON.stringify({ inputs: { input: each }, label: i })).join('\n'),
  );
  for (const protocol of [
    'v2',
    'v2-binary',
    'grpc',
    'tensorflow-serving',
    'kserve-v1',
    'sagemaker',
    'predict',
  ] as const) {
    const base = protocol === 'grpc' ? `http://127.0.0.1:${grpcPort}` : url;
    const pairs = await open({ url: base, protocol, model: 'pair' });
    const sums = await evaluateModels([pairs], { data: pair, task: 'regression', speed: false });
    expect(sums.metrics, protocol).toMatchObject({ meanAbsoluteError: 0, r2: 1 });
    const texts = await open({ url: base, protocol, model: 'text' });
    const echoed = await evaluateModels([texts], {
      data: text,
      task: 'classification',
      speed: false,
      classNames: ['é', '', 'NaN'],
    });
    expect(echoed.metrics, protocol).toMatchObject({ accuracy: 1 });
  }
});

/** A server that answers as it is told, on a port of its own. */
async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const SIGNATURE = readOnnxModel(DIGITS_MODEL).facts;
const IMAGE = { name: 'image', datatype: 'FP32', shape: [1, 1, 8, 8], data: new Float32Array(64) } as const;
const OUTPUT = {
  outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [1, 10], data: new Array<number>(10).fill(0.1) }],
};

test('an endpoint that asks to come back is asked again when it says so', async () => {
  const asked: number[] = [];
  const url = await serve((_, response) => {
    asked.push(Date.now());
    if (asked.length === 2) return response.writeHead(503, { 'Retry-After': '1' }).end('busy');
    if (asked.length === 1) return response.writeHead(429).end('full');
    return response.end(JSON.stringify(OUTPUT));
  });
  const { model } = await open({ url, protocol: 'v2', model: 'digits', signature: SIGNATURE });
  expect((await model.run([IMAGE]))[0]!.data).toHaveLength(10);
  expect(asked).toHaveLength(3);
  // Timers may fire a millisecond early by this clock.
  expect(asked[2]! - asked[1]!).toBeGreaterThan(990);
});

test('an endpoint is not waited for without end', async () => {
  const url = await serve((_, response) =>
    response.writeHead(503, { 'Retry-After': '3600' }).end('come back tomorrow'),
  );
  const { model } = await open({ url, protocol: 'v2', model: 'digits', signature: SIGNATURE });
  const error = await toolError(model.run([IMAGE]));
  expect(error).toMatchObject({ code: 'ENDPOINT_UNREACHABLE', kind: 'outside' });
  expect(error.message).toContain('asked once: HTTP 503 come back tomorrow, and to wait 3600 s is too long');
});

test('waiting stops when it is told to', async () => {
  const url = await serve((_, response) => response.writeHead(503, { 'Retry-After': '30' }).end());
  const stop = new AbortController();
  const { model } = await open({ url, protocol: 'v2', model: 'digits', signature: SIGNATURE, signal: stop.signal });
  setTimeout(() => stop.abort(), 50);
  await expect(model.run([IMAGE])).rejects.toThrow('aborted');
});

test('an answer that is no yes, or cannot be read, is refused with what it says', async () => {
  const answers: [number, string][] = [
    [400, 'no such\ninput'],
    [200, 'not JSON'],
    [200, '{"outputs":[]}'],
    [200, '{"outputs":[{"name":"probabilities","datatype":"FP32","shape":[1,10],"data":[1]}]}'],
    [200, '[]'],
  ];
  let asked = 0;
  const url = await serve((_, response) => {
    const [status, text] = answers[asked++]!;
    response.writeHead(status).end(text);
  });
  const { model } = await open({ url, protocol: 'v2', model: 'digits', signature: SIGNATURE });
  const messages: string[] = [];
  for (let i = 0; i < answers.length; i++) {
    const error = await toolError(model.run([IMAGE]));
    expect(error.code).toBe('ENDPOINT_REFUSED');
    messages.push(error.message.split('infer: ')[1]!);
  }
  expect(messages).toEqual([
    'answered HTTP 400 no such input',
    expect.stringContaining('gave an answer that cannot be read: '),
    "gave an answer that cannot be read: the answer lacks the output 'probabilities'",
    expect.stringContaining('must hold 10 elements, got 1'),
    expect.stringContaining('the answer must be an object'),
  ]);
});

test('an answer without end is given up, and not asked for again', async () => {
  let asked = 0;
  const url = await serve((_, response) => {
    asked += 1;
    const more = (): void => {
      while (response.write(Buffer.alloc(65_536, ' ')));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  });
  const options = { url, protocol: 'v2', model: 'digits', signature: SIGNATURE, maxAnswerBytes: 1_000_000 } as const;
  const { model } = await open(options);
  const error = await toolError(model.run([IMAGE]));
  expect(error).toMatchObject({ code: 'ENDPOINT_REFUSED' });
  expect(error.message).toContain('the answer has more than the 1000000 bytes that are read of one');
  expect(asked).toBe(1);
  // Over gRPC: an answer of 40 bytes and a frame around it.
  const { grpcPort } = await startServer({ modelRepository: await publishedRepository('digits', DIGITS_MODEL) });
  const grpc = {
    url: `http://127.0.0.1:${grpcPort}`,
    protocol: 'grpc',
    model: 'digits',
    signature: SIGNATURE,
  } as const;
  const small = await open({ ...grpc, maxAnswerBytes: 32 });
  expect((await toolError(small.model.run([IMAGE]))).message).toContain('more than the 32 bytes');
});

test('a model that an endpoint does not have, and an endpoint that has none named, are refused', async () => {
  const { url, grpcPort } = await startServer({ modelRepository: plainRepository({ one: identityModel() }) });
  expect(await toolError(openEndpoint({ url, model: 'two' }))).toMatchObject({ code: 'ENDPOINT_REFUSED' });
  const grpc = { url: `http://127.0.0.1:${grpcPort}`, protocol: 'grpc', model: 'two' } as const;
  expect((await toolError(openEndpoint(grpc))).message).toContain('answered gRPC status 5');
  expect((await toolError(openEndpoint({ url }))).message).toContain('must name a model');
  expect((await toolError(openEndpoint({ url: 'ftp://example.invalid/model' }))).message).toContain(
    'must be an http:// or https:// URL',
  );
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect(parseRetryAfter('7', now)).toBe(7_000);
  expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:09 GMT', now)).toBe(9_000);
  expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0);
  expect(parseRetryAfter('soon', now)).toBeUndefined();
  expect(parseRetryAfter(undefined, now)).toBeUndefined();
});

test('an answer over gRPC that is cut off is refused', () => {
  const whole = encodeInferRequest('digits', '1', [IMAGE]);
  // A field that has no end, after one that is whole.
  expect(() => decodeInferResponse(Buffer.concat([whole, Buffer.from([0x80])]), [])).toThrow(
    'protobuf ends within a number',
  );
});
