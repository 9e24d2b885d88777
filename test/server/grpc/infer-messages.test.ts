import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ServerError } from '../../../runtime/server/errors';
import {
  decodeInferRequest,
  encodeInferResponse,
  encodeStreamError,
  type Frame,
} from '../../../runtime/server/grpc/infer-codec';
import { readInferRequestMessage } from '../../../runtime/server/grpc/infer-request-message';
import type { InferTarget } from '../../../runtime/server/infer-request';
import type { Tensor } from '../../../runtime/onnx/tensor-encoding';
import type { Datatype } from '../../../runtime/spec/datatypes';
import { packages } from './grpc-client';
import { plain, requests, scramble } from './random-requests';

// protobufjs reads and writes what we write and read; it shares no code with us.
const service = packages['inference.GRPCInferenceService'] as Record<string, any>;
const writeRequest = (request: object): Buffer => service['ModelInfer'].requestSerialize(request);
const readResponse = (bytes: Buffer): any => service['ModelInfer'].responseDeserialize(bytes);
const readStreamResponse = (bytes: Buffer): any => service['ModelStreamInfer'].responseDeserialize(bytes);

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** A message of gRPC without its header, which must tell its length. */
function unframe(frame: Frame): Buffer {
  const bytes = Buffer.concat(frame);
  expect(bytes[0]).toBe(0);
  expect(bytes.readUInt32BE(1)).toBe(bytes.byteLength - 5);
  return bytes.subarray(5);
}

function targetOf(...inputs: readonly [string, Datatype, readonly (number | string)[]][]): InferTarget {
  return {
    name: 'm',
    inputs: inputs.map(([name, datatype, shape]) => ({ name, datatype, shape })),
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 2] }],
    maxRows: undefined,
  };
}

const X = targetOf(['x', 'FP32', ['batch', 4]]);

function decode(bytes: Buffer, target = X): ReturnType<typeof decodeInferRequest> {
  return decodeInferRequest(readInferRequestMessage(bytes), target, { isStream: false });
}

function refusal(action: () => unknown): ServerError {
  try {
    action();
  } catch (error) {
    if (error instanceof ServerError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

const RAW = '0a016d1201311a0234322a0d0a01781204465033321a02010432030a01793a100000803f000000400000404000008040';
const TYPED = '0a016d2a210a01781204465033321a0201042a1232100000803f000000400000404000008040';

describe('a request as protobufjs writes it', () => {
  test('with a raw tensor', () => {
    const message = readInferRequestMessage(hex(RAW));
    expect(message).toMatchObject({ modelName: 'm', modelVersion: '1', id: '42', outputs: [{ name: 'y' }] });
    expect(message.inputs).toMatchObject([{ name: 'x', datatype: 'FP32', shape: [1, 4], contents: [] }]);
    expect(decode(hex(RAW)).inputs).toEqual([
      { name: 'x', datatype: 'FP32', shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) },
    ]);
  });

  test('with typed contents', () => {
    expect(decode(hex(TYPED)).inputs[0]!.data).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  test('with parameters of three kinds', () => {
    const { parameters } = readInferRequestMessage(
      hex('0a016d220e0a087072696f726974791202280122080a017312031a016122070a016212020801'),
    );
    expect([...parameters]).toEqual([
      ['priority', 1],
      ['s', 'a'],
      ['b', true],
    ]);
  });

  test('with text', () => {
    const raw = hex('01000000 61 02000000 c3a9');
    const request = writeRequest({
      inputs: [{ name: 't', datatype: 'BYTES', shape: [2] }],
      raw_input_contents: [raw],
    });
    expect(decode(request, targetOf(['t', 'BYTES', ['n']])).inputs[0]!.data).toEqual(['a', 'é']);
  });

  test('of any content comes through as it was sent', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const message = readInferRequestMessage(writeRequest(request));
        expect({
          model_name: message.modelName,
          model_version: message.modelVersion,
          id: message.id,
          parameters: Object.fromEntries(message.parameters),
          inputs: message.inputs.map(({ name, datatype, shape, parameters }) => ({
            name,
            datatype,
            shape,
            parameters: Object.fromEntries(parameters),
          })),
          outputs: message.outputs.map(({ name, parameters }) => ({
            name,
            parameters: Object.fromEntries(parameters),
          })),
          raw_input_contents: message.raw,
        }).toEqual(plain(request));
      }),
    );
  });

  test('means the same with its fields in another order, unpacked, and with fields that nobody knows in between', () => {
    fc.assert(
      fc.property(requests, fc.infiniteStream(fc.nat()), (request, random) => {
        const bytes = writeRequest(request);
        const scrambled = scramble(bytes, () => random.next().value as number);
        expect(readInferRequestMessage(scrambled)).toEqual(readInferRequestMessage(bytes));
      }),
    );
  });
});

describe('a request in the forms that a parser must take', () => {
  const input = (fields: string): Buffer => {
    const bytes = hex(fields);
    return Buffer.concat([hex('2a'), Buffer.from([bytes.byteLength]), bytes]);
  };

  test('a shape that is not packed', () => {
    expect(readInferRequestMessage(input('0a0178 1801 1804')).inputs[0]!.shape).toEqual([1, 4]);
  });

  test('a shape partly packed', () => {
    expect(readInferRequestMessage(input('0a0178 1801 1a020405')).inputs[0]!.shape).toEqual([1, 4, 5]);
  });

  test('contents in pieces, packed and not', () => {
    const pieces = input(
      '0a0178 1204 46503332 1a020104 2a06 3204 0000803f 2a0b 3500000040 32 04 00004040 2a05 3500008040',
    );
    expect(decode(pieces).inputs[0]!.data).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  test('a map entry with its value before its key', () => {
    expect([...readInferRequestMessage(hex('2208 1203 1a0161 0a0173')).parameters]).toEqual([['s', 'a']]);
  });

  test('a parameter whose value comes in pieces counts as the last of them', () => {
    expect([...readInferRequestMessage(hex('220b 0a0173 1202 0801 1202 2807')).parameters]).toEqual([['s', 7]]);
  });

  test('numbers longer than they need be, up to ten bytes', () => {
    expect(readInferRequestMessage(input('18 8180808080 8080808000')).inputs[0]!.shape).toEqual([1]);
    expect(readInferRequestMessage(hex('8a00 8100 6d')).modelName).toBe('m');
  });

  test('unknown fields of every kind', () => {
    const unknown = 'f80101 f901 0102030405060708 fa0103 010203 fb01 0801 fb01 0a0161 fc01 fc01 fd01 01020304';
    expect(readInferRequestMessage(hex(`${unknown} 0a016d`)).modelName).toBe('m');
  });

  test('a field that is known comes with another wire type, and is none of those that are known', () => {
    expect(readInferRequestMessage(hex('0801 0a016d')).modelName).toBe('m');
  });
});

describe('a request that is refused', () => {
  test.each([
    ['a number of eleven bytes', '2a0d 18 8080808080 8080808080 01'],
    ['a message that ends within a number', '0a'],
    ['a message that ends within a field', '0a056d'],
    ['a length beyond what there can be', '0affffffff0f'],
    ['a length of 64 bits', '0a ffffffffffffffffff01'],
    ['field number 0', '0001'],
    ['a group that never ends', 'fb01 0801'],
    ['a group that another one ends', 'fb01 f401'],
    ['the end of a group that never began', 'fc01'],
    ['a wire type that does not exist', '0e'],
    ['a name that is no UTF-8', '0a02 c328'],
    ['groups that are nested without end', 'fb01'.repeat(200)],
  ])('%s', (_, bytes) => {
    expect(refusal(() => readInferRequestMessage(hex(bytes))).code).toBe('MALFORMED_REQUEST');
  });

  test('whatever bytes come, they are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(ServerError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('whatever byte of a good request is changed, it is read or refused', () => {
    fc.assert(
      fc.property(fc.constantFrom(RAW, TYPED), fc.nat(), fc.nat(255), (good, at, byte) => {
        const bytes = hex(good);
        bytes[at % bytes.byteLength] = byte;
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ServerError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  const refused = (request: object, target = X): string => refusal(() => decode(writeRequest(request), target)).message;
  const x = { name: 'x', datatype: 'FP32', shape: [1, 4] };
  const contents = { fp32_contents: [1, 2, 3, 4] };
  const raw = Buffer.alloc(16);

  test('one with a negative dimension', () => {
    expect(refused({ inputs: [{ ...x, shape: [-1, 4] }], raw_input_contents: [raw] })).toBe(
      "shape of input 'x' must be a list of whole numbers from 0 up, got [-1,4]",
    );
  });

  test('one with a dimension that no number can hold', () => {
    expect(refused({ inputs: [{ ...x, shape: ['9223372036854775807', 4] }], raw_input_contents: [raw] })).toContain(
      'must be a list of whole numbers',
    );
  });

  test('one that is raw and typed at once', () => {
    expect(refused({ inputs: [{ ...x, contents }], raw_input_contents: [raw] })).toBe(
      "contents field must not be specified when using raw_input_contents for 'x' for model 'm'",
    );
  });

  test('one with more raw tensors than inputs', () => {
    expect(refused({ inputs: [x], raw_input_contents: [raw, raw] })).toBe(
      'raw_input_contents must have one entry for each of 1 inputs, got 2',
    );
  });

  test('one with a raw tensor of the wrong length', () => {
    expect(refused({ inputs: [x], raw_input_contents: [Buffer.alloc(12)] })).toContain('must be 16 bytes, got 12');
  });

  test('one with too few, too many, and none of the elements', () => {
    for (const [elements, got] of [
      [[1, 2, 3], '3'],
      [[1, 2, 3, 4, 5], 'more'],
      [[], 'at most 0'],
    ] as const) {
      expect(refused({ inputs: [{ ...x, contents: { fp32_contents: elements } }] })).toBe(
        `input 'x': contents must hold 4 elements of FP32, got ${got}`,
      );
    }
  });

  test('one whose shape asks for more memory than was sent, before it is set aside', () => {
    const huge = { ...x, shape: [2 ** 50, 4], contents };
    expect(refused({ inputs: [huge] })).toContain('at most 18');
  });

  test("one whose elements are in another datatype's field", () => {
    expect(refused({ inputs: [{ ...x, contents: { int_contents: [1, 2, 3, 4] } }] })).toBe(
      "input 'x': FP32 must come in fp32_contents, got int_contents",
    );
  });

  test('one of FP16 or BF16 that is not raw', () => {
    const half = { name: 'x', datatype: 'FP16', shape: [1], contents: { fp32_contents: [1] } };
    expect(refused({ inputs: [half] }, targetOf(['x', 'FP16', [1]]))).toContain('FP16 must come in raw_input_contents');
    const brain = { ...x, datatype: 'BF16' };
    expect(refused({ inputs: [brain], raw_input_contents: [Buffer.alloc(8)] })).toContain('BF16 cannot be carried');
  });

  test.each([
    ['INT8', 'int_contents', [-128, 127], [-129, 128]],
    ['INT16', 'int_contents', [-32_768, 32_767], [-32_769, 32_768]],
    ['UINT8', 'uint_contents', [0, 255], [256]],
    ['UINT16', 'uint_contents', [0, 65_535], [65_536]],
  ] as const)('one of %s beyond its range', (datatype, field, inside, outside) => {
    const target = targetOf(['x', datatype, ['n']]);
    const request = (data: readonly number[]): object => ({
      inputs: [{ name: 'x', datatype, shape: [data.length], contents: { [field]: data } }],
    });
    expect([...decode(writeRequest(request(inside)), target).inputs[0]!.data]).toEqual(inside);
    for (const value of outside) expect(refused(request([value]), target)).toContain(`got ${value}`);
  });

  test('one with tensors in shared memory, be they inputs or outputs', () => {
    const parameters = { shared_memory_region: { string_param: 'r' } };
    expect(refused({ inputs: [{ ...x, parameters }] })).toContain("input 'x' is in shared memory");
    const request = { inputs: [x], raw_input_contents: [raw], outputs: [{ name: 'y', parameters }] };
    expect(refused(request)).toContain("output 'y' is in shared memory");
  });

  test('one with an input twice, an output twice, and either of another model', () => {
    const raw_input_contents = [raw, raw];
    expect(refused({ inputs: [x, x], raw_input_contents })).toBe("input 'x' is given twice");
    expect(refused({ inputs: [{ ...x, name: 'z' }], raw_input_contents: [raw] })).toContain("Expected 'x'");
    const outputs = (...names: string[]): object => ({
      inputs: [x],
      raw_input_contents: [raw],
      outputs: names.map((name) => ({ name })),
    });
    expect(refused(outputs('y', 'y'))).toBe("output 'y' is requested twice");
    expect(refused(outputs('z'))).toContain("Expected 'y'");
  });

  test('one whose priority or timeout is none', () => {
    for (const parameters of [
      { priority: { string_param: 'high' } },
      { priority: { int64_param: -1 } },
      { timeout: { double_param: 0.5 } },
    ]) {
      expect(refused({ inputs: [x], raw_input_contents: [raw], parameters })).toContain('must be a whole number');
    }
  });
});

test('priority and timeout come as either kind of whole number', () => {
  const request = (kind: string): Buffer =>
    writeRequest({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4] }],
      raw_input_contents: [Buffer.alloc(16)],
      parameters: { priority: { [kind]: 2 }, timeout: { [kind]: 5_000 }, mine: { string_param: 'a' } },
    });
  for (const kind of ['int64_param', 'uint64_param']) {
    const { priority, timeoutMicroseconds, parameters } = decode(request(kind));
    expect({ priority, timeoutMicroseconds, ...parameters }).toEqual({
      priority: 2,
      timeoutMicroseconds: 5_000,
      mine: 'a',
    });
  }
});

/** Elements of each datatype, by the field of the contents that holds them. */
const TYPED_DATA: readonly [Datatype, string, fc.Arbitrary<unknown[]>][] = [
  ['BOOL', 'bool_contents', fc.array(fc.boolean())],
  ['INT8', 'int_contents', fc.array(fc.integer({ min: -128, max: 127 }))],
  ['INT16', 'int_contents', fc.array(fc.integer({ min: -32_768, max: 32_767 }))],
  ['INT32', 'int_contents', fc.array(fc.integer())],
  ['INT64', 'int64_contents', fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String))],
  ['UINT8', 'uint_contents', fc.array(fc.nat(255))],
  ['UINT16', 'uint_contents', fc.array(fc.nat(65_535))],
  ['UINT32', 'uint_contents', fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }))],
  ['UINT64', 'uint64_contents', fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String))],
  ['FP32', 'fp32_contents', fc.array(fc.float())],
  ['FP64', 'fp64_contents', fc.array(fc.double())],
  ['BYTES', 'bytes_contents', fc.array(fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')))],
];

test.each(TYPED_DATA)('%s goes through %s there and back', (datatype, field, lists) => {
  const target = targetOf(['x', datatype, ['n']]);
  fc.assert(
    fc.property(lists, (list) => {
      const sent = datatype === 'BYTES' ? list.map((text) => Buffer.from(text as string)) : list;
      const inputs = [{ name: 'x', datatype, shape: [list.length], contents: { [field]: sent } }];
      const [input] = decode(writeRequest({ inputs }), target).inputs;
      const frame = encodeInferResponse({ name: 'm', version: 1 }, '', [input!], { isRaw: false, isStream: false });
      const response = readResponse(unframe(frame));
      expect(response.raw_output_contents).toEqual([]);
      expect(response.outputs[0].contents?.[field] ?? []).toEqual(sent);
    }),
  );
});

describe('an answer', () => {
  const model = { name: 'm', version: 1 };
  const y: Tensor = { name: 'y', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(0.5, -1) };

  test('has the bytes that protobufjs writes', () => {
    const frame = encodeInferResponse(model, '42', [y], { isRaw: true, isStream: false });
    expect(unframe(frame)).toEqual(hex('0a016d1201311a0234322a0d0a01791204465033321a02010232080000003f000080bf'));
  });

  test('is read by protobufjs whatever tensors it has, small and large', () => {
    const tensors = fc.array(
      fc.record({ name: fc.string({ unit: 'binary' }), elements: fc.constantFrom(0, 1, 5, 4_096, 5_000, 70_000) }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), tensors, (id, isStream, list) => {
        const outputs = list.map(({ name, elements }, i): Tensor => {
          return { name, datatype: 'UINT8', shape: [1, elements], data: new Uint8Array(elements).fill(i + 1) };
        });
        const bytes = unframe(encodeInferResponse(model, id, outputs, { isRaw: true, isStream }));
        const response = isStream ? readStreamResponse(bytes).infer_response : readResponse(bytes);
        expect(response).toMatchObject({ model_name: 'm', model_version: '1', id });
        expect(response.outputs.map((output: any) => [output.name, output.datatype, output.shape])).toEqual(
          outputs.map(({ name, shape }) => [name, 'UINT8', shape.map(String)]),
        );
        const raw = (response.raw_output_contents as Buffer[]).map((tensor) => Buffer.from(tensor));
        expect(raw.map((tensor) => tensor.byteLength)).toEqual(list.map(({ elements }) => elements));
        expect(raw.every((tensor, i) => tensor.every((byte) => byte === i + 1))).toBe(true);
        expect('triton_final_response' in response.parameters).toBe(isStream);
      }),
      { numRuns: 50 },
    );
  });

  test('is raw when the request was, and when an output is FP16', () => {
    const half: Tensor = { name: 'y', datatype: 'FP16', shape: [1], data: Uint16Array.of(0x3c00) };
    const answer = (request: string, outputs: readonly Tensor[]): any =>
      readResponse(unframe(decode(hex(request)).encode(model, outputs)));
    expect(answer(RAW, [y]).raw_output_contents).toHaveLength(1);
    expect(answer(TYPED, [y])).toMatchObject({
      raw_output_contents: [],
      outputs: [{ contents: { fp32_contents: [0.5, -1] } }],
    });
    expect(answer(TYPED, [half]).raw_output_contents).toEqual([hex('003c')]);
  });

  test('to one request of a stream may be an error that names the request', () => {
    expect(readStreamResponse(unframe(encodeStreamError('7', 'no such model')))).toMatchObject({
      error_message: 'no such model',
      infer_response: { id: '7' },
    });
  });
});
