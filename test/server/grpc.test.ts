import * as grpc from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import type { Datatype } from '../../runtime/spec/datatypes';
import { addOneModel, identityModel, slowModel, twoInputsModel } from '../support/onnx-models';
import { connectInference, floatsOf, infer, rawFloats } from './grpc/grpc-client';
import { answersOf, counted, refusal, slow, start } from './grpc/grpc-server';
import { until, untilQueued, untilStarted } from './harness/until';

const STATUS = grpc.status;

describe('inference', () => {
  const samples: readonly [Datatype, string | undefined, unknown[], string][] = [
    ['BOOL', 'bool_contents', [true, false], '0100'],
    ['INT8', 'int_contents', [-1, 127], 'ff7f'],
    ['INT16', 'int_contents', [-1, 256], 'ffff0001'],
    ['INT32', 'int_contents', [-2, 65_536], 'feffffff00000100'],
    ['INT64', 'int64_contents', ['-3', '9007199254740993'], 'fdffffffffffffff0100000000002000'],
    ['UINT8', 'uint_contents', [0, 255], '00ff'],
    ['UINT16', 'uint_contents', [1, 65_535], '0100ffff'],
    ['UINT32', 'uint_contents', [1, 4_294_967_295], '01000000ffffffff'],
    ['UINT64', 'uint64_contents', ['1', '18446744073709551615'], '0100000000000000ffffffffffffffff'],
    ['FP16', undefined, [], '003c00c0'],
    ['FP32', 'fp32_contents', [0.5, -1], '0000003f000080bf'],
    ['FP64', 'fp64_contents', [0.1, -1], '9a9999999999b93f000000000000f0bf'],
    ['BYTES', 'bytes_contents', [Buffer.from('a'), Buffer.from('é')], '010000006102000000c3a9'],
  ];

  test('carries every datatype, raw and typed, and answers as it was asked', async () => {
    const models = samples.map(([datatype]) => [datatype, identityModel({ datatype, shape: ['n'] })] as const);
    const { client } = await start(Object.fromEntries(models));
    for (const [datatype, field, elements, hex] of samples) {
      const input = { name: 'input', datatype, shape: [2] };
      const raw = await infer(client, {
        model_name: datatype,
        inputs: [input],
        raw_input_contents: [Buffer.from(hex, 'hex')],
      });
      expect(raw.raw_output_contents.map((bytes: Buffer) => bytes.toString('hex'))).toEqual([hex]);
      expect(raw.outputs).toMatchObject([{ name: 'output', datatype, shape: ['2'], contents: null }]);
      if (field === undefined) continue;
      const contents = { [field]: elements };
      const typed = await infer(client, { model_name: datatype, inputs: [{ ...input, contents }] });
      expect(typed.raw_output_contents).toEqual([]);
      expect(typed.outputs[0].contents[field]).toEqual(elements);
    }
  });

  test('takes inputs in any order, and sends the outputs that are asked for in the order asked for', async () => {
    const { client } = await start({ two: twoInputsModel() });
    const tensor = (name: string, data: number[]): object => ({
      name,
      datatype: 'FP32',
      shape: [1, 3],
      contents: { fp32_contents: data },
    });
    const answer = await infer(client, {
      model_name: 'two',
      inputs: [tensor('right', [1, 1, 1]), tensor('left', [0, 1, 2])],
      outputs: [{ name: 'larger' }, { name: 'sum' }],
    });
    expect(answer.outputs).toMatchObject([
      { name: 'larger', contents: { bool_contents: [false, false, true] } },
      { name: 'sum', contents: { fp32_contents: [1, 2, 3] } },
    ]);
  });

  test('gives classes instead of numbers when asked for them', async () => {
    const { client } = await start({ plus: addOneModel() });
    const answer = await infer(client, {
      ...rawFloats('plus', [1, 4], [1, 4, 3, 2]),
      outputs: [{ name: 'output', parameters: { classification: { int64_param: 2 } } }],
    });
    expect(answer.outputs).toMatchObject([{ datatype: 'BYTES', shape: ['1', '2'] }]);
    expect(answer.raw_output_contents[0].toString()).toBe('\n\0\0\x005.000000:1\n\0\0\x004.000000:2');
  });

  test('takes messages of 12 MB and answers with as many', async () => {
    const { client } = await start({ same: identityModel({ shape: ['batch', 'n'] }) });
    const numbers = Float32Array.from({ length: 3_000_000 }, (_, i) => i);
    const answer = await infer(client, rawFloats('same', [1, numbers.length], numbers));
    const bytes = Buffer.from(numbers.buffer);
    expect(answer.raw_output_contents[0].equals(bytes)).toBe(true);
  });

  test('takes messages that are compressed with gzip', async () => {
    const { server } = await start({ same: identityModel({ shape: ['batch', 'n'] }) });
    const client = connectInference(server.grpcPort, { 'grpc.default_compression_algorithm': 2 });
    const numbers = new Float32Array(100_000).fill(1);
    const answer = await infer(client, rawFloats('same', [1, numbers.length], numbers));
    expect(answer.raw_output_contents[0].byteLength).toBe(400_000);
  });

  test('names the version that answered, and finds one by its number', async () => {
    const { client } = await start({ plus: addOneModel() });
    const asked = rawFloats('plus', [1, 4], [1, 2, 3, 4]);
    expect(await infer(client, { ...asked, model_version: '1' })).toMatchObject({ model_version: '1' });
    const error = await refusal(infer(client, { ...asked, model_version: '2' }));
    expect(error.code).toBe(STATUS.NOT_FOUND);
  });

  test('refuses with the status and the reason, whatever letters it has', async () => {
    const { client, server } = await start({ plus: addOneModel() });
    const unknown = await refusal(infer(client, rawFloats('größe 100%\n', [1, 4], [1, 2, 3, 4])));
    expect(unknown).toMatchObject({ code: STATUS.NOT_FOUND, details: "no model 'größe 100%\n' here" });
    const wrong = await refusal(infer(client, rawFloats('plus', [1, 5], [1, 2, 3, 4, 5])));
    expect(wrong).toMatchObject({
      code: STATUS.INVALID_ARGUMENT,
      details: "unexpected shape for input 'input' for model 'plus'. Expected [-1,4], got [1,5]",
    });
    expect(await counted(server, 'client_error')).toBe(1);
  });

  test('refuses a message above the limit as exhausting the resource', async () => {
    const { client } = await start({ same: identityModel({ shape: ['batch', 'n'] }) }, { maxBodyMiB: 0.5 });
    const error = await refusal(infer(client, rawFloats('same', [1, 200_000], new Float32Array(200_000))));
    expect(error.code).toBe(STATUS.RESOURCE_EXHAUSTED);
    expect(error.details).toMatch(/^a message must be at most 524288 bytes, got 8000\d\d$/);
  });

  test('drops what waits in the queue when its client cancels, and counts it as cancelled', async () => {
    const { client, server } = await start({ slow: slowModel() }, { maxBatchSize: 1 });
    const running = infer(client, slow(8_000));
    await untilStarted(server.metricsUrl, 1);
    const waiting = client['ModelInfer'](slow(0), () => {});
    await untilQueued(server.metricsUrl, 1);
    waiting.cancel();
    await untilQueued(server.metricsUrl, 0);
    await until('the call is counted', async () => (await counted(server, 'cancelled')) === 1);
    await running;
    expect(await counted(server, 'ok')).toBe(1);
  });

  test('passes a deadline on to the queue', async () => {
    const { client, server } = await start({ slow: slowModel() }, { maxBatchSize: 1 });
    const running = infer(client, slow(8_000));
    await untilStarted(server.metricsUrl, 1);
    const error = await refusal(infer(client, slow(0), { deadline: Date.now() + 200 }));
    expect(error.code).toBe(STATUS.DEADLINE_EXCEEDED);
    await untilQueued(server.metricsUrl, 0);
    await running;
  });

  test('gives the queue back as exhausted, with the time to wait', async () => {
    const { client, server } = await start({ slow: slowModel() }, { maxBatchSize: 1, queueDepthRows: 1 });
    const running = infer(client, slow(8_000));
    await untilStarted(server.metricsUrl, 1);
    const waiting = infer(client, slow(0));
    await untilQueued(server.metricsUrl, 1);
    const error = await refusal(infer(client, slow(0)));
    expect(error.code).toBe(STATUS.RESOURCE_EXHAUSTED);
    expect(Number(error.metadata.get('grpc-retry-pushback-ms')[0])).toBeGreaterThan(0);
    await Promise.all([running, waiting]);
  });
});

describe('a stream of inference', () => {
  test('answers each message by itself, in their order', async () => {
    const { client } = await start({ slow: slowModel(), plus: addOneModel() });
    const stream = client['ModelStreamInfer']();
    const answers = answersOf(stream);
    stream.write({ ...slow(3_000), id: 'slow' });
    for (let i = 0; i < 300; i++) stream.write({ ...rawFloats('plus', [1, 4], [i, 0, 0, 0]), id: `${i}` });
    stream.end();
    const received = (await answers).map(({ infer_response }) => infer_response);
    expect(received.map(({ id }) => id)).toEqual(['slow', ...Array.from({ length: 300 }, (_, i) => `${i}`)]);
    expect(received.slice(1).map((answer) => floatsOf(answer.raw_output_contents[0])[0])).toEqual(
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
  });

  test('says what is wrong with a message in its answer, and goes on', async () => {
    const { client, server } = await start({ plus: addOneModel() });
    const stream = client['ModelStreamInfer']();
    const answers = answersOf(stream);
    stream.write({ ...rawFloats('nobody', [1, 4], [1, 2, 3, 4]), id: 'a' });
    stream.write({ ...rawFloats('plus', [1, 4], [1, 2, 3, 4]), id: 'b' });
    stream.end();
    expect(await answers).toMatchObject([
      { error_message: "no model 'nobody' here", infer_response: { id: 'a' } },
      { error_message: '', infer_response: { id: 'b', parameters: { triton_final_response: { bool_param: true } } } },
    ]);
    expect(await counted(server, 'ok')).toBe(1);
  });

  test('may stay silent and open', async () => {
    const { client } = await start({ plus: addOneModel() });
    const stream = client['ModelStreamInfer']();
    const answers = answersOf(stream);
    await infer(client, rawFloats('plus', [1, 4], [1, 2, 3, 4]));
    stream.end();
    expect(await answers).toEqual([]);
  });

  test('drops what waits when its client cancels', async () => {
    const { client, server } = await start({ slow: slowModel() }, { maxBatchSize: 1 });
    const stream = client['ModelStreamInfer']();
    stream.on('error', () => {});
    stream.write(slow(8_000));
    await untilStarted(server.metricsUrl, 1);
    stream.write(slow(0));
    await untilQueued(server.metricsUrl, 1);
    stream.cancel();
    await untilQueued(server.metricsUrl, 0);
    await until('the run is over', () => server.server.isIdle);
  });
});
