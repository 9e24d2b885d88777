import { deflateSync, gzipSync } from 'node:zlib';
import { type Random } from './random';

/** Models that a fuzzed server has; `two` is its default. */
export const FUZZED_MODELS = ['two', 'lookup', 'words', 'half', 'large', 'nobody', 'two%2F', '..', '__proto__'];

export interface HttpCase {
  readonly bytes: Buffer;
  readonly method: string;
}

/** A request whose framing is right, whatever is inside: it must be answered. */
export function httpCase(random: Random): HttpCase {
  const { method, path, headers, body } = random.pick(KINDS)(random);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: fuzz',
    ...headers,
    ...(random.chance(0.2) ? [oddHeader(random)] : []),
  ];
  const content = encode(random, body, lines);
  if (random.chance(0.05) && method === 'POST') {
    lines.push('Transfer-Encoding: chunked');
    const chunk = Buffer.concat([Buffer.from(`${content.byteLength.toString(16)}\r\n`), content, Buffer.from('\r\n')]);
    const chunks = content.byteLength === 0 ? [] : [chunk];
    return { method, bytes: Buffer.concat([head(lines), ...chunks, Buffer.from('0\r\n\r\n')]) };
  }
  if (method === 'POST') lines.push(`Content-Length: ${content.byteLength}`);
  return { method, bytes: method === 'POST' ? Buffer.concat([head(lines), content]) : head(lines) };
}

export function head(lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

type Kind = (random: Random) => Request;

const KINDS: readonly Kind[] = [
  inferJson,
  inferJson,
  inferJson,
  inferJson,
  inferBinary,
  inferBinary,
  inferBinary,
  tensorflowServing,
  tensorflowServing,
  sageMaker,
  plainPredict,
  plainPredict,
  lookAround,
];

function inferJson(random: Random): Request {
  const request = inferRequest(random);
  const text = JSON.stringify(request);
  return post(
    inferPath(random, request),
    [],
    random.chance(0.5) ? random.mutate(Buffer.from(text)) : Buffer.from(text),
  );
}

function inferBinary(random: Random): Request {
  const request = inferRequest(random) as { inputs?: { parameters?: unknown; data?: unknown }[] };
  const tails: Buffer[] = [];
  for (const input of Array.isArray(request.inputs) ? request.inputs : []) {
    if (typeof input !== 'object' || input === null || random.chance(0.1)) continue;
    const tail = random.bytes(random.pick([0, 1, 4, 8, 12, 16, 24, 24, 24, 64]));
    input.parameters = { binary_data_size: random.chance(0.85) ? tail.byteLength : oddNumber(random) };
    if (random.chance(0.95)) delete input.data;
    tails.push(tail);
  }
  const json = Buffer.from(JSON.stringify(request));
  const length = random.chance(0.85) ? json.byteLength : oddNumber(random);
  const body = Buffer.concat([json, ...tails]);
  const headers = [`Inference-Header-Content-Length: ${String(length)}`];
  return post(inferPath(random, request), headers, random.chance(0.3) ? random.mutate(body) : body);
}

function tensorflowServing(random: Random): Request {
  const row = random.chance(0.5) ? [1, 2, 3] : { left: [1, 2, 3], right: nested(random, 2) };
  const body = random.pick<unknown>([
    { instances: [row, row] },
    { instances: nested(random, 3) },
    {
      inputs: { left: nested(random, 2), right: [[1, 2, 3]] },
      signature_name: random.pick(['serving_default', 'x', 1]),
    },
    { instances: [{ b64: 'YQ==' }, { b64: '*' }, 'a'] },
    { inputs: nested(random, 2), instances: [] },
  ]);
  const model = random.pick(FUZZED_MODELS);
  const version = random.pick([
    '',
    '',
    '',
    '/versions/1',
    '/versions/99999999999999999999',
    '/labels/stable',
    '/labels/%00',
  ]);
  const verb = random.pick(['predict', 'predict', 'predict', 'classify', 'regress', 'explain', 'PREDICT', '']);
  const text = Buffer.from(JSON.stringify(body));
  return post(`/v1/models/${model}${version}:${verb}`, [], random.chance(0.5) ? random.mutate(text) : text);
}

function sageMaker(random: Random): Request {
  const { headers, body } = plainBody(random);
  if (random.chance(0.3)) {
    const json = Buffer.from(JSON.stringify(inferRequest(random)));
    const size = random.chance(0.6) ? json.byteLength : oddNumber(random);
    const type = `Content-Type: application/vnd.sagemaker-triton.binary+json;json-header-size=${String(size)}`;
    return post('/invocations', [type], Buffer.concat([json, random.bytes(random.below(40))]));
  }
  const path = random.pick([
    '/invocations',
    '/models/two/invoke',
    '/models/nobody/invoke',
    '/models/%ff/invoke',
    '/models',
  ]);
  const target = random.chance(0.3) ? [`X-Amzn-SageMaker-Target-Model: ${random.pick(FUZZED_MODELS)}`] : [];
  return post(path, [...headers, ...target], body);
}

function plainPredict(random: Random): Request {
  const { headers, body } = plainBody(random);
  return post(`/predict${random.pick(['', '', '?a=b', '/two', '/'])}`, headers, body);
}

function plainBody(random: Random): { readonly headers: readonly string[]; readonly body: Buffer } {
  const [type, body] = random.pick<() => readonly [string, Buffer]>([
    () => ['text/csv', csv(random)],
    () => ['application/x-npy', npy(random)],
    () => [
      'application/json',
      Buffer.from(JSON.stringify(random.chance(0.5) ? nested(random, 3) : inferRequest(random))),
    ],
    () => ['image/png', Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), random.bytes(random.below(60))])],
    () => ['application/octet-stream', random.bytes(random.below(64))],
    () => [
      random.pick(['', 'a/b', 'text/csv; charset=x', 'application/json;;', '*/*', 'é']),
      random.bytes(random.below(30)),
    ],
  ])();
  return { headers: [`Content-Type: ${type}`], body: random.chance(0.4) ? random.mutate(body) : body };
}

function csv(random: Random): Buffer {
  const rows = Array.from({ length: random.below(5) }, () =>
    Array.from({ length: random.below(8) }, () =>
      random.pick(['1', '2.5', '-3', 'nan', 'inf', '', '"a,b"', '"', 'x', '1e400']),
    ),
  );
  return Buffer.from(rows.map((row) => row.join()).join(random.pick(['\n', '\r\n', '\r'])));
}

function npy(random: Random): Buffer {
  const shape = random.pick([
    '(2, 3)',
    '(1, 6)',
    '(0, 3)',
    '()',
    '(3,)',
    '(-1, 3)',
    '(99999999999, 3)',
    '(2, 3',
    '(1e3,)',
  ]);
  const descr = random.pick(["'<f4'", "'<f8'", "'>f4'", "'|O'", "'<i8'", "'|S5'", "'<U1'", "'<f9'", '[]']);
  const order = random.pick(['False', 'True', 'None']);
  const dictionary = `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
  const header = Buffer.alloc(10);
  header.write('\x93NUMPY\x01\x00', 'latin1');
  header.writeUInt16LE(random.chance(0.9) ? dictionary.length : random.below(65_536), 8);
  return Buffer.concat([header, Buffer.from(dictionary), random.bytes(random.pick([24, 48, 12, 0, 23]))]);
}

function lookAround(random: Random): Request {
  const model = random.pick(FUZZED_MODELS);
  const path = random.pick([
    '/',
    '/v2',
    '/v2/',
    '/v2/health/live',
    '/v2/health/ready',
    '/livez',
    '/readyz',
    '/startupz',
    '/ping',
    '/v2/models',
    '/v1',
    `/v2/models/${model}`,
    `/v2/models/${model}/versions/1`,
    `/v2/models/${model}/config`,
    `/v2/models/${model}/stats`,
    `/v2/models/${model}/ready`,
    '/v2/models/stats',
    `/v1/models/${model}`,
    `/v1/models/${model}/metadata`,
    '/v1/models',
    '/models',
    '/openapi.json',
    '/v2/openapi.json',
    '/v2/repository/index',
    `/v2/repository/models/${model}/load`,
    '/metrics',
    `/${random.bytes(6).toString('base64url')}`,
    '/%',
    '/%zz',
    '/..%2f..%2fetc/passwd',
    '/?'.repeat(20),
    '//',
    '/v2//models',
  ]);
  const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND']);
  return {
    method,
    path,
    headers: [],
    body: method === 'POST' ? Buffer.from(JSON.stringify({ ready: random.below(3) })) : Buffer.alloc(0),
  };
}

function post(path: string, headers: readonly string[], body: Buffer): Request {
  return { method: 'POST', path, headers, body };
}

const MODELS_BY_INPUT: Readonly<Record<string, string>> = {
  '"left" "FP32"': 'two',
  '"index" "INT64"': 'lookup',
  '"input" "BYTES"': 'words',
  '"input" "FP16"': 'half',
  '"input" "FP32"': 'large',
};

/** Of the model that the request was made for, most of the time. */
function inferPath(random: Random, request: unknown): string {
  const { inputs } = request as { inputs?: unknown };
  const first = Array.isArray(inputs) ? (inputs[0] as { name?: unknown; datatype?: unknown } | null) : undefined;
  const right = MODELS_BY_INPUT[`${JSON.stringify(first?.name)} ${JSON.stringify(first?.datatype)}`];
  if (right !== undefined && random.chance(0.85)) return `/v2/models/${right}/infer`;
  return `/v2/models/${random.pick(FUZZED_MODELS)}${random.pick(['', '', '', '/versions/1', '/versions/x'])}/infer`;
}

/** An inference request that is right in most respects and wrong in some. */
function inferRequest(random: Random): unknown {
  const request: Record<string, unknown> = {
    inputs: random.pick<() => unknown[]>([
      () => [tensor('left', 'FP32', [1, 3]), tensor('right', 'FP32', [1, 3])],
      () => [tensor('left', 'FP32', [1, 3]), tensor('right', 'FP32', [1, 3])],
      () => [{ ...tensor('index', 'INT64', [2]), data: [random.below(12), -random.below(12)] }],
      () => [{ ...tensor('input', 'BYTES', [1, 2]), data: ['a', random.pick(['é', '\0', '\ud800', '😀', ''])] }],
      () => [tensor('input', 'FP16', [])],
      () => [tensor('input', 'FP32', [random.below(3), random.below(5)])],
    ])(),
  };
  if (random.chance(0.2)) request['id'] = random.pick<unknown>(['1', 'é'.repeat(50), 7, null, '\n']);
  if (random.chance(0.2)) {
    request['outputs'] = [
      { name: random.pick(['sum', 'larger', 'output', 'x', '__proto__']), parameters: oddParameters(random) },
    ];
  }
  if (random.chance(0.2)) request['parameters'] = oddParameters(random);
  if (random.chance(0.5)) spoil(random, request, 0);
  return request;
}

function tensor(name: string, datatype: string, shape: readonly number[]): Record<string, unknown> {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, datatype, shape, data: Array.from({ length: count }, (_, i) => i) };
}

/** Puts something else at one place of a structure. */
function spoil(random: Random, at: any, depth: number): void {
  const keys = Object.keys(at as object);
  if (keys.length === 0) return;
  const key = random.pick(keys);
  const child = at[key];
  if (typeof child === 'object' && child !== null && depth < 5 && random.chance(0.75))
    return spoil(random, child, depth + 1);
  if (random.chance(0.2)) delete at[key];
  else
    at[key] = random.pick<() => unknown>([
      () => oddNumber(random),
      () => nested(random, 2),
      () => oddParameters(random),
    ])();
}

function oddParameters(random: Random): Record<string, unknown> {
  const names = [
    'binary_data',
    'binary_data_output',
    'classification',
    'priority',
    'timeout',
    'binary_data_size',
    'sequence_id',
    'x',
  ];
  return Object.fromEntries(
    Array.from({ length: random.below(3) }, () => [
      random.pick(names),
      random.pick([true, false, 1, 2, oddNumber(random)]),
    ]),
  );
}

function oddNumber(random: Random): unknown {
  return random.pick<unknown>([
    0,
    -1,
    1,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    2 ** 63,
    1.5,
    '4',
    '',
    null,
    true,
    1e300,
    -0,
    99_999_999,
    [],
    {},
  ]);
}

function nested(random: Random, depth: number): unknown {
  if (depth === 0 || random.chance(0.2))
    return random.pick<unknown>([0, 1, -1.5, 'a', null, true, 1e39, { b64: 'AA==' }, {}]);
  const child = nested(random, depth - 1);
  return Array.from({ length: random.below(4) }, () => (random.chance(0.7) ? child : nested(random, depth - 1)));
}

function oddHeader(random: Random): string {
  return random.pick([
    'X-Request-Timeout: 0',
    'X-Request-Timeout: -1',
    'X-Request-Timeout: 1e9',
    'X-Request-Timeout: 0.001',
    'Accept-Encoding: gzip',
    'Accept-Encoding: br;q=0, *;q=0.5',
    'Accept-Encoding: ;;;',
    'Expect: 100-continue',
    'Expect: 200-maybe',
    'Connection: close',
    'Connection: upgrade\r\nUpgrade: websocket',
    'traceparent: 00-zz-1-01',
    'X-Request-Id: \x80\xff',
    'Authorization: Bearer x.y.z',
    'Content-Encoding: identity',
    'Content-Encoding: zstd',
    'X-Tenant-Id: ' + 'a'.repeat(random.below(2_000)),
    'Accept: text/plain',
    'Inference-Header-Content-Length: ' + String(oddNumber(random)),
    'Cookie: ' + random.bytes(30).toString('hex'),
    'Te: trailers',
  ]);
}

/** The body as it is sent, with its Content-Encoding, which now and then is a lie. */
function encode(random: Random, body: Buffer, lines: string[]): Buffer {
  if (!random.chance(0.04)) return body;
  const encoding = random.pick(['gzip', 'deflate', 'br', 'gzip, gzip']);
  lines.push(`Content-Encoding: ${encoding}`);
  const encoded =
    encoding === 'gzip' ? gzipSync(body, { level: 1 }) : encoding === 'deflate' ? deflateSync(body) : body;
  return random.chance(0.5) ? encoded : random.mutate(encoded);
}
