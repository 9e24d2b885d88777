import {
  assert,
  assertEqual,
  ConformanceFailure,
  SOURCES,
  type ConformanceCase,
  type Subject,
} from '../conformance-case';
import { DATATYPES, identityOf } from '../conformance-models';
import type { GrpcAnswer, GrpcClient } from '../grpc-client';
import { bytesOf, field, message, numbers, texts, valuesOf, varint } from '../protobuf';
import { floats, SAMPLES } from '../tensors';

const OK = 0;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

function grpcCase(
  id: string,
  kind: ConformanceCase['kind'],
  source: string,
  title: string,
  run: (grpc: GrpcClient) => Promise<void>,
): ConformanceCase {
  return {
    id: `grpc-${id}`,
    area: 'grpc',
    kind,
    source,
    title,
    run: ({ grpc }: Subject) => {
      if (grpc === undefined) throw new ConformanceFailure('no gRPC address was given');
      return run(grpc);
    },
  };
}

const proto = (what: string): string => `${SOURCES.grpc}: ${what}`;

function assertCode(answer: GrpcAnswer, ...codes: readonly number[]): void {
  assert(
    codes.includes(answer.status),
    `expected grpc-status ${codes.join(' or ')}, got ${answer.status} (${answer.message})`,
  );
}

function only(answer: GrpcAnswer): Buffer {
  assertCode(answer, OK);
  assertEqual(answer.messages.length, 1, 'messages');
  return answer.messages[0]!;
}

interface Input {
  readonly name?: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly contents?: Uint8Array;
}

function inputTensor({ name = 'INPUT0', datatype, shape, contents }: Input): Buffer {
  return message(
    field(1, name),
    field(2, datatype),
    field(3, Buffer.concat(shape.map(varint))),
    ...(contents === undefined ? [] : [field(5, contents)]),
  );
}

function inferRequest(
  model: string,
  inputs: readonly Input[],
  raw: readonly Uint8Array[],
  ...more: readonly Uint8Array[]
): Buffer {
  return message(
    field(1, model),
    ...inputs.map((input) => field(5, inputTensor(input))),
    ...raw.map((bytes) => field(7, bytes)),
    ...more,
  );
}

const FLOATS: Input = { datatype: 'FP32', shape: [1, 2] };
const RAW = floats([1.5, -2]);

interface InferAnswer {
  readonly model: string;
  readonly id: string;
  readonly names: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  readonly raw: readonly Buffer[];
  readonly outputs: readonly Buffer[];
}

function readAnswer(bytes: Buffer): InferAnswer {
  const outputs = bytesOf(bytes, 5);
  return {
    model: texts(bytes, 1)[0] ?? '',
    id: texts(bytes, 3)[0] ?? '',
    names: outputs.map((output) => texts(output, 1)[0] ?? ''),
    shapes: outputs.map((output) => numbers(output, 3)),
    raw: bytesOf(bytes, 6),
    outputs,
  };
}

/** The typed contents of a datatype: field number and encoded elements, as InferTensorContents packs them. */
const CONTENTS: Readonly<Record<string, Buffer>> = {
  BOOL: field(1, Buffer.from([1, 0])),
  INT8: field(2, Buffer.concat([varint(-128), varint(127)])),
  INT16: field(2, Buffer.concat([varint(-32_768), varint(32_767)])),
  INT32: field(2, Buffer.concat([varint(-2_147_483_648), varint(2_147_483_647)])),
  INT64: field(3, Buffer.concat([varint(-9_223_372_036_854_775_808n), varint(9_223_372_036_854_775_807n)])),
  UINT8: field(4, Buffer.concat([varint(0), varint(255)])),
  UINT16: field(4, Buffer.concat([varint(0), varint(65_535)])),
  UINT32: field(4, Buffer.concat([varint(0), varint(4_294_967_295)])),
  UINT64: field(5, Buffer.concat([varint(0), varint(18_446_744_073_709_551_615n)])),
  FP32: field(6, SAMPLES.FP32.bytes),
  FP64: field(7, SAMPLES.FP64.bytes),
  BYTES: Buffer.concat([field(8, 'a'), field(8, 'é')]),
};

export const GRPC_CASES: readonly ConformanceCase[] = [
  grpcCase('live', 'spec', proto('ServerLive'), 'a live server says so', async (grpc) =>
    assertEqual(valuesOf(only(await grpc.call('ServerLive', [Buffer.alloc(0)])), 1), [1n], 'live'),
  ),
  grpcCase('ready', 'spec', proto('ServerReady'), 'a ready server says so', async (grpc) =>
    assertEqual(valuesOf(only(await grpc.call('ServerReady', [Buffer.alloc(0)])), 1), [1n], 'ready'),
  ),
  grpcCase('model-ready', 'spec', proto('ModelReady'), 'a ready model says so', async (grpc) =>
    assertEqual(valuesOf(only(await grpc.call('ModelReady', [field(1, 'simple')])), 1), [1n], 'ready'),
  ),
  grpcCase(
    'server-metadata',
    'spec',
    proto('ServerMetadata'),
    'the server tells its name and version',
    async (grpc) => {
      const answer = only(await grpc.call('ServerMetadata', [Buffer.alloc(0)]));
      assert(texts(answer, 1).length === 1 && texts(answer, 2).length === 1, 'name and version must be there');
    },
  ),
  grpcCase(
    'model-metadata',
    'spec',
    proto('ModelMetadata'),
    'a model tells its inputs, -1 for what may vary',
    async (grpc) => {
      const answer = only(await grpc.call('ModelMetadata', [field(1, 'simple')]));
      assertEqual(texts(answer, 1), ['simple'], 'name');
      assertEqual(texts(answer, 2), ['1'], 'versions');
      assertEqual(
        bytesOf(answer, 4).map((input) => [texts(input, 1)[0], texts(input, 2)[0], numbers(input, 3)]),
        [
          ['INPUT0', 'INT32', [-1, 16]],
          ['INPUT1', 'INT32', [-1, 16]],
        ],
        'inputs',
      );
    },
  ),
  grpcCase(
    'model-metadata-unknown',
    'spec',
    proto('ModelMetadata'),
    'a model that is not there is an error',
    async (grpc) => {
      const { status } = await grpc.call('ModelMetadata', [field(1, 'no-such-model')]);
      assert(status !== OK, 'expected an error');
    },
  ),
  grpcCase(
    'infer-unknown',
    'Triton behaviour',
    'Triton, grpc_utils.cc',
    'inference on a model that is not there is NOT_FOUND',
    async (grpc) =>
      assertCode(await grpc.call('ModelInfer', [inferRequest('no-such-model', [FLOATS], [RAW])]), NOT_FOUND),
  ),
  ...DATATYPES.map((datatype) =>
    grpcCase(
      `raw-${datatype.toLowerCase()}`,
      'spec',
      proto('raw_input_contents'),
      `raw bytes of ${datatype} come back as they were sent`,
      async (grpc) => {
        const { bytes, json } = SAMPLES[datatype];
        const input = { datatype, shape: [1, json.length] };
        const answer = readAnswer(
          only(await grpc.call('ModelInfer', [inferRequest(identityOf(datatype), [input], [bytes])])),
        );
        assertEqual(
          [answer.shapes, answer.raw.map((each) => each.toString('hex'))],
          [[[1, json.length]], [bytes.toString('hex')]],
          'OUTPUT0',
        );
      },
    ),
  ),
  ...Object.entries(CONTENTS).map(([datatype, contents]) =>
    grpcCase(
      `typed-${datatype.toLowerCase()}`,
      'spec',
      proto('InferTensorContents'),
      `typed contents of ${datatype} are read`,
      async (grpc) => {
        const { bytes } = SAMPLES[datatype as keyof typeof SAMPLES];
        const input = { datatype, shape: [1, 2], contents };
        const model = identityOf(datatype as keyof typeof SAMPLES);
        const answer = readAnswer(only(await grpc.call('ModelInfer', [inferRequest(model, [input], [])])));
        const [output] = answer.outputs;
        // Either form is the protocol's: raw bytes, or the very contents.
        const got = answer.raw[0]?.toString('hex') ?? bytesOf(output!, 5)[0]?.toString('hex');
        const expected = answer.raw.length > 0 ? bytes.toString('hex') : contents.toString('hex');
        assertEqual(got, expected, 'OUTPUT0');
      },
    ),
  ),
  grpcCase('id', 'spec', proto('ModelInferRequest.id'), 'an id comes back', async (grpc) => {
    const answer = readAnswer(
      only(await grpc.call('ModelInfer', [inferRequest('identity_fp32', [FLOATS], [RAW], field(3, '42'))])),
    );
    assertEqual([answer.model, answer.id], ['identity_fp32', '42'], 'model and id');
  }),
  grpcCase(
    'requested-outputs',
    'spec',
    proto('ModelInferRequest.outputs'),
    'only the outputs that are asked for come back',
    async (grpc) => {
      const inputs = ['INPUT0', 'INPUT1'].map((name) => ({ name, datatype: 'INT32', shape: [1, 16] }));
      const raw = inputs.map(() => Buffer.alloc(64));
      const wanted = field(6, field(1, 'OUTPUT1'));
      const answer = readAnswer(only(await grpc.call('ModelInfer', [inferRequest('simple', inputs, raw, wanted)])));
      assertEqual(answer.names, ['OUTPUT1'], 'outputs');
    },
  ),
  grpcCase(
    'unpacked-shape',
    'spec',
    'Protocol Buffers, encoding: packed fields',
    'a shape that is not packed is read',
    async (grpc) => {
      const input = message(field(1, 'INPUT0'), field(2, 'FP32'), field(3, 1), field(3, 2));
      const request = message(field(1, 'identity_fp32'), field(5, input), field(7, RAW));
      assertEqual(readAnswer(only(await grpc.call('ModelInfer', [request]))).shapes, [[1, 2]], 'shape');
    },
  ),
  grpcCase(
    'field-order',
    'spec',
    'Protocol Buffers, encoding: field order',
    'fields may come in any order, and unknown ones are skipped',
    async (grpc) => {
      const request = message(
        field(7, RAW),
        field(2_000, 'unknown'),
        field(5, inputTensor(FLOATS)),
        field(1, 'identity_fp32'),
      );
      assertEqual(
        readAnswer(only(await grpc.call('ModelInfer', [request]))).raw[0]?.toString('hex'),
        RAW.toString('hex'),
        'OUTPUT0',
      );
    },
  ),
  grpcCase(
    'raw-and-typed',
    'spec',
    proto('raw_input_contents: no input may have contents'),
    'raw and typed contents together are refused',
    async (grpc) => {
      const input = { ...FLOATS, contents: CONTENTS['FP32']! };
      assertCode(await grpc.call('ModelInfer', [inferRequest('identity_fp32', [input], [RAW])]), INVALID_ARGUMENT);
    },
  ),
  grpcCase(
    'raw-count',
    'spec',
    proto('raw_input_contents: one entry for each input'),
    'fewer raw entries than inputs are refused',
    async (grpc) => {
      const inputs = ['INPUT0', 'INPUT1'].map((name) => ({ name, datatype: 'INT32', shape: [1, 16] }));
      assertCode(await grpc.call('ModelInfer', [inferRequest('simple', inputs, [Buffer.alloc(64)])]), INVALID_ARGUMENT);
    },
  ),
  grpcCase(
    'wrong-size',
    'spec',
    proto('raw_input_contents'),
    'raw bytes that do not fit the shape are refused',
    async (grpc) =>
      assertCode(
        await grpc.call('ModelInfer', [inferRequest('identity_fp32', [{ ...FLOATS, shape: [1, 3] }], [RAW])]),
        INVALID_ARGUMENT,
      ),
  ),
  grpcCase('negative-size', 'spec', proto('InferInputTensor.shape'), 'a negative size is refused', async (grpc) =>
    assertCode(
      await grpc.call('ModelInfer', [inferRequest('identity_fp32', [{ ...FLOATS, shape: [-1, 2] }], [RAW])]),
      INVALID_ARGUMENT,
    ),
  ),
  grpcCase(
    'wrong-datatype',
    'spec',
    proto('InferInputTensor.datatype'),
    'a datatype that is not the model’s is refused',
    async (grpc) =>
      assertCode(
        await grpc.call('ModelInfer', [inferRequest('identity_fp32', [{ ...FLOATS, datatype: 'INT32' }], [RAW])]),
        INVALID_ARGUMENT,
      ),
  ),
  grpcCase(
    'broken-message',
    'spec',
    'Protocol Buffers, encoding',
    'bytes that are no message are refused, not fatal',
    async (grpc) => {
      const { status } = await grpc.call('ModelInfer', [Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f])]);
      assert(status !== OK, 'expected an error');
      assertEqual(valuesOf(only(await grpc.call('ServerLive', [Buffer.alloc(0)])), 1), [1n], 'live afterwards');
    },
  ),
  grpcCase(
    'unknown-method',
    'spec',
    `${SOURCES.grpcHttp2}: UNIMPLEMENTED`,
    'a method that there is not is UNIMPLEMENTED',
    async (grpc) => assertCode(await grpc.call('NoSuchMethod', [Buffer.alloc(0)]), UNIMPLEMENTED),
  ),
  grpcCase(
    'unknown-service',
    'spec',
    `${SOURCES.grpcHttp2}: UNIMPLEMENTED`,
    'a service that there is not is UNIMPLEMENTED',
    async (grpc) => assertCode(await grpc.call('/no.such.Service/Check', [Buffer.alloc(0)]), UNIMPLEMENTED),
  ),
  grpcCase(
    'deadline',
    'spec',
    `${SOURCES.grpcHttp2}: grpc-timeout`,
    'a deadline in each unit is understood',
    async (grpc) => {
      for (const timeout of ['1H', '10M', '30S', '30000m', '30000000u', '9999999n']) {
        assertCode(await grpc.call('ServerLive', [Buffer.alloc(0)], { 'grpc-timeout': timeout }), OK);
      }
    },
  ),
  grpcCase(
    'health',
    'spec',
    `${SOURCES.health}: Check`,
    'the health service says SERVING for the server as a whole',
    async (grpc) =>
      assertEqual(
        valuesOf(only(await grpc.call('/grpc.health.v1.Health/Check', [Buffer.alloc(0)])), 1),
        [1n],
        'status',
      ),
  ),
  grpcCase(
    'health-unknown',
    'spec',
    `${SOURCES.health}: Check of an unknown service`,
    'the health of an unknown service is NOT_FOUND',
    async (grpc) =>
      assertCode(await grpc.call('/grpc.health.v1.Health/Check', [field(1, 'no.such.Service')]), NOT_FOUND),
  ),
  grpcCase(
    'stream',
    'Triton behaviour',
    'Triton, grpc_service.proto: ModelStreamInfer',
    'each message of a stream is answered in its order',
    async (grpc) => {
      const requests = ['a', 'b', 'c'].map((id) => inferRequest('identity_fp32', [FLOATS], [RAW], field(3, id)));
      const answer = await grpc.call('ModelStreamInfer', requests);
      assertCode(answer, OK);
      const ids = answer.messages.map((each) => readAnswer(bytesOf(each, 2)[0] ?? Buffer.alloc(0)).id);
      assertEqual(ids, ['a', 'b', 'c'], 'ids');
    },
  ),
  grpcCase(
    'stream-error',
    'Triton behaviour',
    'Triton, grpc_service.proto: error_message',
    'a bad message of a stream does not end it',
    async (grpc) => {
      const good = inferRequest('identity_fp32', [FLOATS], [RAW]);
      const answer = await grpc.call('ModelStreamInfer', [inferRequest('no-such-model', [FLOATS], [RAW]), good]);
      assertCode(answer, OK);
      assertEqual(
        answer.messages.map((each) => texts(each, 1).join('').length > 0),
        [true, false],
        'which messages are errors',
      );
    },
  ),
  grpcCase(
    'config',
    'Triton behaviour',
    `${SOURCES.configuration}: ModelConfig`,
    'a model’s configuration can be asked for',
    async (grpc) => {
      const [config] = bytesOf(only(await grpc.call('ModelConfig', [field(1, 'simple')])), 1);
      assertEqual(texts(config!, 1), ['simple'], 'name');
    },
  ),
  grpcCase(
    'statistics',
    'Triton behaviour',
    `${SOURCES.statistics}: ModelStatistics`,
    'a model’s statistics can be asked for',
    async (grpc) => {
      const [statistics] = bytesOf(only(await grpc.call('ModelStatistics', [field(1, 'simple')])), 1);
      assertEqual([texts(statistics!, 1), texts(statistics!, 2)], [['simple'], ['1']], 'name and version');
    },
  ),
  grpcCase(
    'index',
    'Triton behaviour',
    `${SOURCES.repository}: RepositoryIndex`,
    'the repository can be listed',
    async (grpc) => {
      const models = bytesOf(only(await grpc.call('RepositoryIndex', [Buffer.alloc(0)])), 1);
      assert(
        models.some((model) => texts(model, 1)[0] === 'simple' && texts(model, 3)[0] === 'READY'),
        'simple must be READY',
      );
    },
  ),
];
