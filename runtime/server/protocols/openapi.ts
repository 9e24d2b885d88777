import { version as serverVersion } from '../../../package.json';
import { elementCount, type Tensor } from '../../onnx/tensor-encoding';
import { writeElements } from '../../onnx/write-tensor-json';
import type { Datatype } from '../../spec/datatypes';
import type { TensorSignature } from '../../spec/model-facts';
import type { InferTarget } from '../infer-request';
import { generateInput } from '../sample-input';

/** A model version as its description needs it. */
export interface DescribedModel {
  readonly name: string;
  /** Where the paths shall name it. @default - the newest */
  readonly version?: string;
  readonly target: InferTarget;
}

type Json = Readonly<Record<string, unknown>>;

/** An example with more elements would fill the page. */
const MAX_EXAMPLE_ELEMENTS = 4_096;

/**
 * An OpenAPI 3.1 description (https://spec.openapis.org/oas/v3.1.0) of the paths of these models, typed from their graphs:
 * names, datatypes and shapes, with an example that the model answers.
 */
export function describeOpenApi(models: readonly DescribedModel[]): object {
  return {
    openapi: '3.1.0',
    info: { title: titleOf(models), version: serverVersion },
    paths: Object.assign({}, SERVER_PATHS, ...models.map(modelPaths)) as Json,
    components: { schemas: { Error: ERROR_SCHEMA }, responses: { Error: ERROR_RESPONSE } },
  };
}

function titleOf(models: readonly DescribedModel[]): string {
  const [first, another] = models;
  return first === undefined || another !== undefined ? 'Slipway' : `Slipway: ${first.name}`;
}

const ERROR_SCHEMA = { type: 'object', required: ['error'], properties: { error: { type: 'string' } } };
const ERROR_RESPONSE = {
  description: 'what was expected and what came, or why there is no answer now',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
};
const ERRORS = { default: { $ref: '#/components/responses/Error' } };

function getPath(summary: string, schema: Json): Json {
  const content = { 'application/json': { schema } };
  return { get: { summary, responses: { '200': { description: summary, content }, ...ERRORS } } };
}

const object = (properties: Json): Json => ({ type: 'object', required: Object.keys(properties), properties });
const list = (items: Json): Json => ({ type: 'array', items });
const BOOLEAN = { type: 'boolean' };
const STRING = { type: 'string' };

const SERVER_PATHS = {
  '/v2/health/live': getPath('whether the server answers', object({ live: BOOLEAN })),
  '/v2/health/ready': getPath('whether all models are loaded, warmed and proven', object({ ready: BOOLEAN })),
  '/v2': getPath('the server and its extensions', object({ name: STRING, version: STRING, extensions: list(STRING) })),
  '/v2/models': getPath('names of the models', object({ models: list(STRING) })),
};

function modelPaths({ name, version, target }: DescribedModel): Json {
  const base = `/v2/models/${encodeURIComponent(name)}${version === undefined ? '' : `/versions/${version}`}`;
  const example = exampleOf(target);
  return {
    [base]: getPath(`inputs and outputs of ${name}`, { type: 'object' }),
    [`${base}/ready`]: getPath(`whether ${name} is ready`, { type: 'object' }),
    [`${base}/infer`]: {
      post: {
        summary: `run ${name} (Open Inference Protocol v2)`,
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: requestSchema(target),
              ...(example === undefined ? {} : { example }),
            },
          },
        },
        responses: {
          '200': {
            description: 'the outputs that were asked for',
            content: { 'application/json': { schema: responseSchema(target) } },
          },
          ...ERRORS,
        },
      },
    },
  };
}

function requestSchema({ inputs, outputs, maxRows }: InferTarget): Json {
  return {
    type: 'object',
    required: ['inputs'],
    properties: {
      id: STRING,
      parameters: { type: 'object' },
      inputs: {
        type: 'array',
        minItems: inputs.length,
        maxItems: inputs.length,
        items: anyOf(inputs.map((input) => tensorSchema(input, maxRows))),
      },
      outputs: {
        type: 'array',
        maxItems: outputs.length,
        items: {
          type: 'object',
          required: ['name'],
          properties: { name: { enum: outputs.map(({ name }) => name) }, parameters: { type: 'object' } },
        },
      },
    },
  };
}

function responseSchema({ outputs }: InferTarget): Json {
  return {
    type: 'object',
    required: ['model_name', 'model_version', 'outputs'],
    properties: {
      model_name: STRING,
      model_version: STRING,
      id: STRING,
      outputs: { type: 'array', items: anyOf(outputs.map((output) => tensorSchema(output, undefined))) },
    },
  };
}

function anyOf(schemas: readonly Json[]): Json {
  return schemas.length === 1 ? schemas[0]! : { anyOf: schemas };
}

function tensorSchema({ name, datatype, shape }: TensorSignature, maxRows: number | undefined): Json {
  const sizes = shape.map((size, d): Json => {
    if (typeof size === 'number') return { const: size };
    const limit = d === 0 && maxRows !== undefined ? { maximum: maxRows } : {};
    return { type: 'integer', minimum: 0, ...limit, ...(size === '' ? {} : { title: size }) };
  });
  const rank = { minItems: shape.length, maxItems: shape.length };
  const flat = listSchema(
    shape.every((size) => typeof size === 'number') ? elementCount(shape) : '',
    ELEMENTS[datatype],
  );
  const nested = shape.reduceRight<Json>((items, size) => listSchema(size, items), ELEMENTS[datatype]);
  return {
    type: 'object',
    required: ['name', 'shape', 'datatype', 'data'],
    properties: {
      name: { const: name },
      datatype: { const: datatype },
      shape: sizes.length === 0 ? { type: 'array', ...rank } : { type: 'array', prefixItems: sizes, ...rank },
      parameters: { type: 'object' },
      data: shape.length < 2 ? flat : { anyOf: [flat, nested] },
    },
  };
}

function listSchema(size: number | string, items: Json): Json {
  return { type: 'array', items, ...(typeof size === 'number' ? { minItems: size, maxItems: size } : {}) };
}

function integers(minimum: number, maximum: number): Json {
  return { type: 'integer', minimum, maximum };
}

const ELEMENTS: Readonly<Record<Datatype, Json>> = {
  BOOL: BOOLEAN,
  UINT8: integers(0, 0xff),
  UINT16: integers(0, 0xffff),
  UINT32: integers(0, 0xffff_ffff),
  // Bounds beyond 2^53 have no exact number here.
  UINT64: { type: 'integer', format: 'uint64', minimum: 0 },
  INT8: integers(-0x80, 0x7f),
  INT16: integers(-0x8000, 0x7fff),
  INT32: integers(-0x8000_0000, 0x7fff_ffff),
  INT64: { type: 'integer', format: 'int64' },
  FP16: { type: 'number' },
  FP32: { type: 'number', format: 'float' },
  FP64: { type: 'number', format: 'double' },
  BYTES: STRING,
};

/** One row that the model was warmed up with. */
function exampleOf({ inputs }: InferTarget): Json | undefined {
  const tensors = generateInput(inputs, 1).whole();
  if (tensors.reduce((sum, { data }) => sum + data.length, 0) > MAX_EXAMPLE_ELEMENTS) return undefined;
  return { inputs: tensors.map(exampleTensor) };
}

function exampleTensor(tensor: Tensor): Json {
  const { name, shape, datatype } = tensor;
  return { name, shape, datatype, data: JSON.parse(`[${writeElements(tensor)}]`) as unknown };
}
