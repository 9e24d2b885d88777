import { isDatatype } from '../../../spec/datatypes';
import type { ModelFacts, TensorSignature } from '../../../spec/model-facts';
import { GrpcClient } from '../../../conformance/grpc-client';
import { AnswerTooLarge, HttpClient, type HttpAnswer } from '../../../conformance/http-client';
import { showJson } from '../../../onnx/show-json';
import type { Tensor } from '../../../onnx/tensor-encoding';
import type { UserField, UserRow } from '../../../preprocess/preprocessor';
import { isRecord, isRecordArray, isSha256 } from '../../../spec/manifest-fields';
import { joinRows, type RunnableModel } from '../../measure/runnable-model';
import { ModelToolError } from '../../tool-error';
import type { UserEndpoint } from '../ask-models';
import type { EvaluatedModel } from '../evaluate-models';
import { askAgain, parseRetryAfter, type Attempt } from './ask-again';
import { decodeInferResponse, decodeMetadata, encodeInferRequest, encodeMetadataRequest } from './grpc-codec';
import {
  openInferenceBinary,
  openInferenceJson,
  predictionRows,
  tensorflowColumns,
  type HttpCodec,
} from './http-codecs';
import { answerTypeFor, decodeUserAnswer, encodeUserRows, requestsOf } from './user-requests';

/** How an endpoint can be asked. */
export const ENDPOINT_PROTOCOLS = [
  'v2',
  'v2-binary',
  'grpc',
  'tensorflow-serving',
  'kserve-v1',
  'sagemaker',
  'vertex',
  'predict',
] as const;
export type EndpointProtocol = (typeof ENDPOINT_PROTOCOLS)[number];

export interface EndpointOptions {
  /** `http://host:8080`, or `…/v2/models/<model>` with everything said; for vertex the whole URL of its predict route. */
  readonly url: string;
  /** @default 'v2-binary' */
  readonly protocol?: EndpointProtocol;
  /** @default - what the URL names */
  readonly model?: string;
  /** @default - what the URL names, else the endpoint's own choice */
  readonly version?: string;
  /** Sent with every request: keys and tokens. */
  readonly headers?: Readonly<Record<string, string>>;
  /** @default - asked for by the Open Inference Protocol */
  readonly signature?: Pick<ModelFacts, 'inputs' | 'outputs'>;
  /** Most bytes of one answer. @default 512 MiB */
  readonly maxAnswerBytes?: number;
  readonly signal?: AbortSignal;
}

type Signature = Pick<ModelFacts, 'inputs' | 'outputs'>;

/** What metadata say. */
interface Described extends Signature {
  /** What users may send instead of tensors. @default - nothing else */
  readonly userFields?: readonly UserField[];
  readonly preprocessingSha256?: string;
}

interface Target {
  readonly base: string;
  readonly model: string;
  readonly version: string;
}

/** Answers that mean: not now. */
const LATER = [429, 502, 503, 504];
const UNAVAILABLE = 14;
const RESOURCE_EXHAUSTED = 8;
/** What people copy with the address. */
const ROUTE_END = /\/?(?:\/(?:invocations|predict))?\/?$/;
const MODEL_PATH = /\/v[12]\/models\/([^/:]+)(?:\/versions\/([^/:]+))?\/?$/;

/**
 * Opens a running endpoint for evaluation.
 * @throws ModelToolError ENDPOINT_UNREACHABLE when nobody answers, ENDPOINT_REFUSED for an answer that is no yes or cannot be read
 */
export async function openEndpoint(options: EndpointOptions): Promise<EvaluatedModel> {
  const { protocol = 'v2-binary' } = options;
  const target = targetOf(options);
  const name = `${target.model === '' ? target.base : target.model} (${protocol})`;
  return { name, ...(await (protocol === 'grpc' ? openGrpc(target, options) : openHttp(target, protocol, options))) };
}

/** Protocols in which the server takes what users have, and can be asked for every number of an answer. */
const FOR_USERS: readonly EndpointProtocol[] = ['predict', 'sagemaker'];

function targetOf({ url, protocol, model, version }: EndpointOptions): Target {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
    throw new ModelToolError('ENDPOINT_REFUSED', url, 'an endpoint must be an http:// or https:// URL');
  }
  const named = MODEL_PATH.exec(parsed.pathname);
  const base = `${parsed.origin}${protocol === 'vertex' ? '' : parsed.pathname.slice(0, named?.index).replace(ROUTE_END, '')}`;
  const target = { base, model: model ?? decodeURIComponent(named?.[1] ?? ''), version: version ?? named?.[2] ?? '' };
  const needsName = protocol !== 'vertex' && protocol !== 'sagemaker' && protocol !== 'predict';
  if (target.model !== '' || !needsName) return target;
  throw new ModelToolError('ENDPOINT_REFUSED', url, 'must name a model, as in http://host:8080/v2/models/<model>');
}

type Opened = Pick<EvaluatedModel, 'model' | 'users' | 'hidesPreprocessing'>;

async function openHttp(target: Target, protocol: EndpointProtocol, options: EndpointOptions): Promise<Opened> {
  const { base } = target;
  const client = new HttpClient(base, options.headers, options.maxAnswerBytes);
  const { path, codec } = routeOf(protocol, target, options.url);
  const described: Described = options.signature ?? (await fetchSignature(client, target, options.signal));
  const signature = { inputs: described.inputs, outputs: described.outputs };
  const where = `${base}${path}`;
  const run = async (inputs: readonly Tensor[]): Promise<readonly Tensor[]> => {
    const { headers, body } = codec.encode(inputs);
    const answer = await askHttp(where, () => client.send('POST', path, { headers, body }), options.signal);
    return readable(where, () => codec.decode(answer, signature.outputs));
  };
  const model = { ...signature, run, close: () => Promise.resolve() };
  const type = answerTypeFor(signature.outputs);
  const { userFields, preprocessingSha256 } = described;
  // A stranger's container behind SageMaker takes what its maker likes; only ours says what that is.
  const takesUsers = FOR_USERS.includes(protocol) && (protocol === 'predict' || userFields !== undefined);
  if (!takesUsers || type === undefined) return { model, hidesPreprocessing: userFields !== undefined };
  const askUsers = async (rows: readonly UserRow[]): Promise<readonly Tensor[]> => {
    const { headers, body } = encodeUserRows(rows, type);
    const answer = await askHttp(where, () => client.send('POST', path, { headers, body }), options.signal);
    return readable(where, () => decodeUserAnswer(answer, type, signature.outputs));
  };
  const users: UserEndpoint = {
    ...(userFields === undefined ? {} : { fields: userFields }),
    ...(preprocessingSha256 === undefined ? {} : { preprocessingSha256 }),
    run: async (rows) => {
      const answers: (readonly Tensor[])[] = [];
      for (const request of requestsOf(rows)) answers.push(await askUsers(request));
      return joinRows(answers);
    },
  };
  return { model, users };
}

function routeOf(
  protocol: EndpointProtocol,
  { model, version }: Target,
  url: string,
): { readonly path: string; readonly codec: HttpCodec } {
  const name = encodeURIComponent(model);
  const versions = version === '' ? '' : `/versions/${encodeURIComponent(version)}`;
  switch (protocol) {
    case 'v2':
      return { path: `/v2/models/${name}${versions}/infer`, codec: openInferenceJson };
    case 'v2-binary':
      return { path: `/v2/models/${name}${versions}/infer`, codec: openInferenceBinary };
    case 'tensorflow-serving':
      return { path: `/v1/models/${name}${versions}:predict`, codec: tensorflowColumns };
    case 'kserve-v1':
      return { path: `/v1/models/${name}${versions}:predict`, codec: predictionRows };
    case 'sagemaker':
      return { path: model === '' ? '/invocations' : `/models/${name}/invoke`, codec: predictionRows };
    case 'predict':
      return { path: model === '' ? '/predict' : `/predict/${name}${versions}`, codec: predictionRows };
    case 'vertex':
      return { path: new URL(url).pathname, codec: predictionRows };
    case 'grpc':
      throw new Error('gRPC has no path of HTTP/1.1');
  }
}

async function fetchSignature(
  client: HttpClient,
  { base, model, version }: Target,
  signal?: AbortSignal,
): Promise<Described> {
  if (model === '') {
    throw new ModelToolError(
      'ENDPOINT_REFUSED',
      base,
      'give the name of the model (--model-name), or its ONNX file (--signature), to know its inputs and outputs',
    );
  }
  const path = `/v2/models/${encodeURIComponent(model)}${version === '' ? '' : `/versions/${encodeURIComponent(version)}`}`;
  const answer = await askHttp(`${base}${path}`, () => client.get(path), signal);
  return readable(`${base}${path}`, () => {
    const { inputs, outputs, properties } = answer.json() as Readonly<Record<string, unknown>>;
    return { inputs: readSignature(inputs), outputs: readSignature(outputs), ...readProperties(properties) };
  });
}

function readSignature(given: unknown): readonly TensorSignature[] {
  if (!Array.isArray(given)) throw new Error(`metadata must list inputs and outputs, got ${showJson(given)}`);
  return (given as readonly Readonly<Record<string, unknown>>[]).map(({ name, datatype, shape }) => {
    if (typeof name !== 'string' || !isDatatype(datatype) || !Array.isArray(shape)) {
      throw new Error(`metadata must have name, datatype and shape, got ${showJson(name)}`);
    }
    return { name, datatype, shape: shape.map((size) => (typeof size === 'number' && size >= 0 ? size : '')) };
  });
}

const KINDS: ReadonlySet<unknown> = new Set<UserField['kind']>(['image', 'text', 'columns']);

/** Properties that our server has, and others may not. */
function readProperties(given: unknown): Pick<Described, 'userFields' | 'preprocessingSha256'> {
  if (!isRecord(given)) return {};
  const [sha256, fields] = [given['slipway.preprocessing'], given['slipway.preprocessing.fields']];
  if (typeof fields !== 'string') return {};
  const listed: unknown = JSON.parse(fields);
  if (!isRecordArray(listed) || !listed.every(({ name, kind }) => typeof name === 'string' && KINDS.has(kind))) {
    throw new Error(`metadata must list the fields of users' data, got ${showJson(listed)}`);
  }
  return {
    userFields: listed.map(({ name, kind }) => ({ name, kind }) as UserField),
    ...(isSha256(sha256) ? { preprocessingSha256: sha256 } : {}),
  };
}

function askHttp(where: string, send: () => Promise<HttpAnswer>, signal?: AbortSignal): Promise<HttpAnswer> {
  const attempt = async (): Promise<Attempt<HttpAnswer>> => {
    let answer: HttpAnswer;
    try {
      answer = await send();
    } catch (error) {
      return notAnswered(where, error);
    }
    const { status, headers, body } = answer;
    if (status === 200) return { kind: 'answered', value: answer };
    const said = body.toString('utf8', 0, 300).replace(/\s+/g, ' ').trim();
    if (LATER.includes(status)) {
      return { kind: 'later', reason: `HTTP ${status} ${said}`, retryAfterMs: parseRetryAfter(headers['retry-after']) };
    }
    throw new ModelToolError('ENDPOINT_REFUSED', where, `answered HTTP ${status} ${said}`);
  };
  return askAgain(where, attempt, signal);
}

async function openGrpc({ base, model, version }: Target, options: EndpointOptions): Promise<Opened> {
  const client = new GrpcClient(base, options.headers, options.maxAnswerBytes);
  const ask = (method: string, request: Buffer): Promise<Buffer> => {
    const where = `${base} ${method}`;
    const attempt = async (): Promise<Attempt<Buffer>> => {
      let answer: Awaited<ReturnType<GrpcClient['call']>>;
      try {
        answer = await client.call(method, [request]);
      } catch (error) {
        return notAnswered(where, error);
      }
      const { status, message, messages, retryAfterMs } = answer;
      const [first] = messages;
      if (status === 0 && first !== undefined) return { kind: 'answered', value: first };
      const reason = `gRPC status ${status} ${message}`;
      if (status === UNAVAILABLE || status === RESOURCE_EXHAUSTED) return { kind: 'later', reason, retryAfterMs };
      throw new ModelToolError('ENDPOINT_REFUSED', where, `answered ${reason}`);
    };
    return askAgain(where, attempt, options.signal);
  };
  const describe = async (): Promise<Described> => {
    const answer = await ask('ModelMetadata', encodeMetadataRequest(model, version));
    return readable(base, () => {
      const { properties, ...signature } = decodeMetadata(answer);
      return { ...signature, ...readProperties(properties) };
    });
  };
  try {
    const described: Described = options.signature ?? (await describe());
    const signature = { inputs: described.inputs, outputs: described.outputs };
    const opened: RunnableModel = {
      ...signature,
      run: async (inputs) => {
        const answer = await ask('ModelInfer', encodeInferRequest(model, version, inputs));
        return readable(base, () => decodeInferResponse(answer, signature.outputs));
      },
      close: () => {
        client.close();
        return Promise.resolve();
      },
    };
    return { model: opened, hidesPreprocessing: described.userFields !== undefined };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** A network may work the next time; an answer that is too large would be as large again. */
function notAnswered(where: string, error: unknown): Attempt<never> {
  if (error instanceof AnswerTooLarge) {
    throw new ModelToolError('ENDPOINT_REFUSED', where, `${error.message} (--batch-size)`);
  }
  return { kind: 'later', reason: reasonOf(error) };
}

/** What the network says, which may be several things at once: each address that was tried. */
function reasonOf(error: unknown): string {
  const { message, code, errors } = error as NodeJS.ErrnoException & { readonly errors?: readonly Error[] };
  return errors?.[0]?.message ?? (message === '' ? (code ?? 'no answer') : message);
}

async function readable<T>(where: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new ModelToolError(
      'ENDPOINT_REFUSED',
      where,
      `gave an answer that cannot be read: ${(error as Error).message}`,
    );
  }
}
