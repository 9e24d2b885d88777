import { assert, assertEqual, assertRefused, assertStatus, SOURCES, type ConformanceCase } from '../conformance-case';
import { DATATYPES, identityOf } from '../conformance-models';
import type { HttpAnswer } from '../http-client';
import { binaryBody, floats, SAMPLES } from '../tensors';

interface Header {
  readonly outputs: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly data?: unknown;
    readonly parameters?: { readonly binary_data_size?: number };
  }[];
}

const FP32 = '/v2/models/identity_fp32/infer';
const LENGTH = 'Inference-Header-Content-Length';
const binary = (what: string): string => `${SOURCES.binary}: ${what}`;
const tensor = { name: 'INPUT0', shape: [1, 2], datatype: 'FP32', bytes: floats([1.5, -2]) };
const WANTS_BINARY = { parameters: { binary_data_output: true } };

/** The JSON in front of the tensors, and the tensors. */
function split(answer: HttpAnswer): { header: Header; tensors: Buffer } {
  const length = Number(answer.headers[LENGTH.toLowerCase()]);
  assert(Number.isInteger(length), `expected the header ${LENGTH}, got ${answer.headers[LENGTH.toLowerCase()]}`);
  return {
    header: JSON.parse(answer.body.subarray(0, length).toString('utf8')) as Header,
    tensors: answer.body.subarray(length),
  };
}

function refused(
  id: string,
  title: string,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>>,
  what: string,
): ConformanceCase {
  return {
    id: `binary-refuses-${id}`,
    area: 'binary',
    kind: 'spec',
    source: binary(what),
    title,
    run: async ({ http }) => assertRefused(await http.post(FP32, body, headers)),
  };
}

const good = binaryBody([tensor]);
const jsonLength = Number(good.headers[LENGTH]);

export const BINARY_CASES: readonly ConformanceCase[] = [
  {
    id: 'binary-extension',
    area: 'binary',
    kind: 'spec',
    source: binary('the extension’s name'),
    title: 'the server names the extension binary_tensor_data',
    run: async ({ http }) => {
      const { extensions } = (await http.get('/v2')).json() as { extensions: string[] };
      assert(extensions.includes('binary_tensor_data'), `got ${extensions.join(', ')}`);
    },
  },
  ...DATATYPES.map((datatype): ConformanceCase => ({
    id: `binary-${datatype.toLowerCase()}`,
    area: 'binary',
    kind: 'spec',
    source: binary('encoding: little-endian, row-major; BYTES with four-byte lengths'),
    title: `bytes of ${datatype} come back as they were sent`,
    run: async ({ http }) => {
      const { bytes, json } = SAMPLES[datatype];
      const { body, headers } = binaryBody(
        [{ name: 'INPUT0', shape: [1, json.length], datatype, bytes }],
        WANTS_BINARY,
      );
      const answer = await http.post(`/v2/models/${identityOf(datatype)}/infer`, body, headers);
      assertStatus(answer, 200);
      const { header, tensors } = split(answer);
      assertEqual(header.outputs[0]!.parameters?.binary_data_size, bytes.byteLength, 'binary_data_size');
      assertEqual(tensors.toString('hex'), bytes.toString('hex'), 'bytes');
    },
  })),
  {
    id: 'binary-content-type',
    area: 'binary',
    kind: 'spec',
    source: binary('Content-Type of a response with binary data'),
    title: 'an answer with binary tensors is application/octet-stream',
    run: async ({ http }) => {
      const { body, headers } = binaryBody([tensor], WANTS_BINARY);
      const answer = await http.post(FP32, body, headers);
      assertEqual(answer.headers['content-type'], 'application/octet-stream', 'Content-Type');
    },
  },
  {
    id: 'binary-in-json-out',
    area: 'binary',
    kind: 'spec',
    source: binary('binary_data, binary_data_output: false by default'),
    title: 'a binary input is answered as JSON when nothing else is asked for',
    run: async ({ http }) => {
      const answer = await http.post(FP32, good.body, good.headers);
      assertStatus(answer, 200);
      assert(answer.headers[LENGTH.toLowerCase()] === undefined, `the answer must not have ${LENGTH}`);
      assertEqual((answer.json() as Header).outputs[0]!.data, [1.5, -2], 'data');
    },
  },
  {
    id: 'binary-out-of-json-in',
    area: 'binary',
    kind: 'spec',
    source: binary('binary_data of a requested output'),
    title: 'a JSON input is answered with a binary output when that is asked for',
    run: async ({ http }) => {
      const inputs = [{ name: 'INPUT0', shape: [1, 2], datatype: 'FP32', data: [1.5, -2] }];
      const outputs = [{ name: 'OUTPUT0', parameters: { binary_data: true } }];
      const { header, tensors } = split(await http.post(FP32, { inputs, outputs }));
      assert(header.outputs[0]!.data === undefined, 'a binary output has no data');
      assertEqual(tensors.toString('hex'), tensor.bytes.toString('hex'), 'bytes');
    },
  },
  {
    id: 'binary-output-overrides',
    area: 'binary',
    kind: 'spec',
    source: binary('an output’s binary_data goes before binary_data_output'),
    title: 'one output can be JSON where binary is asked for all',
    run: async ({ http }) => {
      const numbers = Array.from({ length: 16 }, (_, i) => i);
      const inputs = ['INPUT0', 'INPUT1'].map((name) => ({ name, shape: [1, 16], datatype: 'INT32', data: numbers }));
      const outputs = [{ name: 'OUTPUT0' }, { name: 'OUTPUT1', parameters: { binary_data: false } }];
      const { header, tensors } = split(
        await http.post('/v2/models/simple/infer', { inputs, outputs, ...WANTS_BINARY }),
      );
      assertEqual(
        header.outputs.map(({ data }) => data === undefined),
        [true, false],
        'which outputs are binary',
      );
      assertEqual(tensors.byteLength, 64, 'bytes of tensors');
    },
  },
  {
    id: 'binary-mixed-inputs',
    area: 'binary',
    kind: 'spec',
    source: binary('inputs with data and with binary_data_size in one request'),
    title: 'one input may be binary and another JSON',
    run: async ({ http }) => {
      const numbers = Array.from({ length: 16 }, (_, i) => i);
      const json = Buffer.from(
        JSON.stringify({
          inputs: [
            { name: 'INPUT0', shape: [1, 16], datatype: 'INT32', data: numbers },
            { name: 'INPUT1', shape: [1, 16], datatype: 'INT32', parameters: { binary_data_size: 64 } },
          ],
        }),
      );
      const body = Buffer.concat([json, Buffer.from(Int32Array.from(numbers).buffer)]);
      const answer = await http.post('/v2/models/simple/infer', body, { [LENGTH]: String(json.byteLength) });
      assertStatus(answer, 200);
      assertEqual(
        (answer.json() as Header).outputs[0]!.data,
        numbers.map((i) => 2 * i),
        'OUTPUT0',
      );
    },
  },
  {
    id: 'binary-order',
    area: 'binary',
    kind: 'spec',
    source: binary('tensors follow each other in the order of the inputs'),
    title: 'tensors lie in the order of the request’s inputs',
    run: async ({ http }) => {
      const input = (name: string, value: number): Parameters<typeof binaryBody>[0][number] => ({
        name,
        shape: [1, 16],
        datatype: 'INT32',
        bytes: Buffer.from(Int32Array.from({ length: 16 }, () => value).buffer),
      });
      const { body, headers } = binaryBody([input('INPUT1', 1), input('INPUT0', 5)]);
      const answer = await http.post('/v2/models/simple/infer', body, headers);
      assertEqual(
        (answer.json() as Header).outputs[1]!.data,
        Array.from({ length: 16 }, () => 4),
        'OUTPUT1',
      );
    },
  },
  {
    id: 'binary-no-content-type',
    area: 'binary',
    kind: 'Triton behaviour',
    source: 'Triton, client library: its HTTP client names no content type',
    title: 'the header alone makes a request binary',
    run: async ({ http }) => assertStatus(await http.post(FP32, good.body, { [LENGTH]: good.headers[LENGTH]! }), 200),
  },
  {
    id: 'binary-header-case',
    area: 'binary',
    kind: 'spec',
    source: 'RFC 9110, 5.1: field names are case-insensitive',
    title: 'the header may be written in lower case',
    run: async ({ http }) =>
      assertStatus(await http.post(FP32, good.body, { [LENGTH.toLowerCase()]: good.headers[LENGTH]! }), 200),
  },
  {
    id: 'binary-empty-tensor',
    area: 'binary',
    kind: 'spec',
    source: binary('binary_data_size'),
    title: 'a tensor of no bytes is a tensor',
    run: async ({ http }) => {
      const { body, headers } = binaryBody([{ ...tensor, shape: [1, 0], bytes: Buffer.alloc(0) }], WANTS_BINARY);
      const answer = await http.post(FP32, body, headers);
      assertStatus(answer, 200);
      assertEqual(split(answer).tensors.byteLength, 0, 'bytes of tensors');
    },
  },
  {
    id: 'binary-misaligned',
    area: 'binary',
    kind: 'spec',
    source: binary('no padding between JSON and tensors'),
    title: 'the JSON may have any length',
    run: async ({ http }) => {
      for (const id of ['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg']) {
        const { body, headers } = binaryBody([tensor], { id, ...WANTS_BINARY });
        const { tensors } = split(await http.post(FP32, body, headers));
        assertEqual(tensors.toString('hex'), tensor.bytes.toString('hex'), `bytes behind ${headers[LENGTH]} of JSON`);
      }
    },
  },
  {
    id: 'binary-raw-request',
    area: 'binary',
    kind: 'spec',
    source: binary('Raw Binary Request'),
    title: 'a body with a header length of 0 is the only input’s tensor',
    run: async ({ http }) => {
      const answer = await http.post('/v2/models/fixed/infer', floats([0, 1, 2, 3]), { [LENGTH]: '0' });
      assertStatus(answer, 200);
      assertEqual(split(answer).tensors.toString('hex'), floats([1, 2, 3, 4]).toString('hex'), 'bytes');
    },
  },
  refused(
    'a-header-that-is-too-long',
    'a header length beyond the body is refused',
    good.body,
    { [LENGTH]: String(good.body.byteLength + 1) },
    'header size',
  ),
  refused('a-negative-header', 'a negative header length is refused', good.body, { [LENGTH]: '-1' }, 'header size'),
  refused(
    'a-header-that-is-no-number',
    'a header length that is no number is refused',
    good.body,
    { [LENGTH]: 'many' },
    'header size',
  ),
  refused(
    'missing-bytes',
    'fewer bytes than binary_data_size are refused',
    good.body.subarray(0, -1),
    good.headers,
    'binary_data_size',
  ),
  refused(
    'bytes-left-over',
    'bytes behind the last tensor are refused',
    Buffer.concat([good.body, Buffer.alloc(1)]),
    good.headers,
    'binary_data_size',
  ),
  refused(
    'a-cut-header',
    'a header length within the JSON is refused',
    good.body,
    { [LENGTH]: String(jsonLength - 1) },
    'header size',
  ),
  {
    id: 'binary-refuses-a-size-that-does-not-fit',
    area: 'binary',
    kind: 'spec',
    source: binary('binary_data_size and the tensor’s shape'),
    title: 'a size that is not the shape’s is refused by the input’s name',
    run: async ({ http }) => {
      const { body, headers } = binaryBody([{ ...tensor, shape: [1, 3] }]);
      const answer = await http.post(FP32, body, headers);
      assertRefused(answer);
      assert((answer.json() as { error: string }).error.includes('INPUT0'), 'the reason must name INPUT0');
    },
  },
  {
    id: 'binary-refuses-data-and-size',
    area: 'binary',
    kind: 'spec',
    source: binary('an input has data or binary_data_size'),
    title: 'an input with both data and binary_data_size is refused',
    run: async ({ http }) => {
      const json = Buffer.from(
        JSON.stringify({
          inputs: [
            { name: 'INPUT0', shape: [1, 2], datatype: 'FP32', data: [1, 2], parameters: { binary_data_size: 8 } },
          ],
        }),
      );
      const body = Buffer.concat([json, tensor.bytes]);
      assertRefused(await http.post(FP32, body, { [LENGTH]: String(json.byteLength) }));
    },
  },
  {
    id: 'binary-refuses-broken-text',
    area: 'binary',
    kind: 'spec',
    source: binary('BYTES: each element with its length'),
    title: 'a BYTES element that ends behind the body is refused',
    run: async ({ http }) => {
      const bytes = Buffer.from('05000000616263', 'hex');
      const { body, headers } = binaryBody([{ name: 'INPUT0', shape: [1, 1], datatype: 'BYTES', bytes }]);
      assertRefused(await http.post('/v2/models/identity_bytes/infer', body, headers));
    },
  },
];
