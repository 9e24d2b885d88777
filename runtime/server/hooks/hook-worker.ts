import { pathToFileURL } from 'node:url';
import type { MessagePort } from 'node:worker_threads';
import { elementCount, makeTensorData, type Tensor, type TensorData } from '../../onnx/tensor-encoding';
import { isDatatype, type Datatype } from '../../spec/datatypes';
import type { TensorSignature } from '../../spec/model-facts';
import type { HookAnswer, HookCall, HookStage, HookWorkerData, OpenedHooks } from './hook-messages';
import { movable } from './movable-tensor';

type Hook = (given: Readonly<Record<string, unknown>>, context: HookContext) => unknown;

/** What a hook is told besides the request. */
interface HookContext {
  readonly model: string;
  readonly version: number;
  /** `parameters` of the model's configuration. */
  readonly configuration: Readonly<Record<string, string>>;
  /** Says that the request is at fault: its client gets 400 and the message. */
  refuse(message: string): never;
}

class Refusal extends Error {}

/** What the functions of each stage get and give. */
const SIDES = { preprocess: 'inputs', postprocess: 'outputs' } as const satisfies Record<HookStage, string>;
const MAX_MESSAGE_CHARACTERS = 500;

/** The body of the thread that runs a model's hooks. */
export async function runHookWorker(port: MessagePort, { slipwayHooks }: HookWorkerData): Promise<void> {
  const answer = (message: HookAnswer, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
  const { name, version, parameters } = slipwayHooks.model;
  const context: HookContext = Object.freeze({
    model: name,
    version,
    configuration: Object.freeze({ ...parameters }),
    refuse: (message: string): never => {
      throw new Refusal(String(message));
    },
  });
  let hooks: Readonly<Partial<Record<HookStage, Hook>>>;
  try {
    const module = (await import(pathToFileURL(slipwayHooks.module).href)) as Readonly<Record<string, unknown>>;
    hooks = readHooks(module);
    const { inputs, outputs } = module;
    answer({
      kind: 'opened',
      stages: Object.keys(hooks) as HookStage[],
      ...signatures('inputs', inputs),
      ...signatures('outputs', outputs),
    });
  } catch (error) {
    answer({ kind: 'refused', message: messageOf(error) });
    return;
  }
  port.on('message', (call: HookCall) => {
    void run(hooks[call.stage]!, call, context).then(
      (tensors) => {
        const moved = movable(tensors, true);
        answer({ kind: 'done', tensors: moved.tensors }, moved.transfer);
      },
      (error: unknown) => answer({ kind: error instanceof Refusal ? 'declined' : 'failed', message: messageOf(error) }),
    );
  });
}

function readHooks(module: Readonly<Record<string, unknown>>): Readonly<Partial<Record<HookStage, Hook>>> {
  const hooks: Partial<Record<HookStage, Hook>> = {};
  for (const stage of ['preprocess', 'postprocess'] as const) {
    const hook = module[stage];
    if (hook === undefined) continue;
    if (typeof hook !== 'function') throw new Error(`its export '${stage}' must be a function`);
    hooks[stage] = hook as Hook;
  }
  if (Object.keys(hooks).length === 0) throw new Error("it exports neither 'preprocess' nor 'postprocess'");
  return hooks;
}

/** An export that says what clients send or get; -1 is a free dimension, as in a model's metadata. */
function signatures(side: 'inputs' | 'outputs', exported: unknown): Partial<OpenedHooks> {
  if (exported === undefined) return {};
  if (!Array.isArray(exported) || exported.length === 0)
    throw new Error(`its export '${side}' must be a list of tensors`);
  return {
    [side]: exported.map((entry: unknown, i): TensorSignature => {
      const { name, datatype, shape } = (entry ?? {}) as { name?: unknown; datatype?: unknown; shape?: unknown };
      const isShape = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= -1);
      if (typeof name !== 'string' || name === '' || !isDatatype(datatype) || !isShape) {
        throw new Error(`its export ${side}[${i}] must be { name, datatype, shape }, as in a model's metadata`);
      }
      return { name, datatype, shape: (shape as number[]).map((size) => (size === -1 ? '' : size)) };
    }),
  };
}

async function run(hook: Hook, call: HookCall, context: HookContext): Promise<readonly Tensor[]> {
  const side = SIDES[call.stage];
  const given = Object.create(null) as Record<string, unknown>;
  const datatypes = new Map<string, Datatype>();
  for (const { name, datatype, shape, data } of call.tensors) {
    given[name] = { datatype, shape: [...shape], data };
    datatypes.set(name, datatype);
  }
  const result: unknown = await hook({ [side]: given, parameters: call.parameters }, context);
  const tensors = (result as Readonly<Record<string, unknown>> | null | undefined)?.[side];
  if (typeof tensors !== 'object' || tensors === null || Array.isArray(tensors)) {
    throw new Error(`${call.stage} must return { ${side}: { name: { datatype, shape, data } } }`);
  }
  return Object.entries(tensors).map(([name, tensor]) => readTensor(name, tensor, datatypes.get(name)));
}

/** A tensor as a hook returned it; it may leave out the datatype of a tensor that it was given. */
function readTensor(name: string, returned: unknown, givenDatatype: Datatype | undefined): Tensor {
  const { datatype = givenDatatype, shape, data } = (returned ?? {}) as Partial<Record<keyof Tensor, unknown>>;
  const fail = (message: string): never => {
    throw new Error(`tensor '${name}' that it returned ${message}`);
  };
  if (!isDatatype(datatype)) return fail('must have a datatype such as FP32');
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    return fail('must have a shape of whole numbers from 0 up');
  }
  const count = elementCount(shape as number[]);
  const { length } = (data ?? {}) as { length?: unknown };
  if (length !== count) return fail(`must have ${count} elements by its shape, got ${String(length)}`);
  return { name, datatype, shape: shape as number[], data: readData(datatype, count, data as TensorData, fail) };
}

function readData(datatype: Datatype, count: number, data: TensorData, fail: (message: string) => never): TensorData {
  if (datatype === 'BYTES') {
    const isText = Array.isArray(data) && data.every((element) => typeof element === 'string');
    return isText ? data : fail('must be a list of strings');
  }
  const empty = makeTensorData(datatype, 0, () => 0);
  if (Object.prototype.toString.call(data) === Object.prototype.toString.call(empty)) return data;
  if (!Array.isArray(data)) return fail(`must be in a ${empty.constructor.name} or a list of numbers`);
  try {
    return makeTensorData(datatype, count, (i) => (data as unknown as number[])[i]!);
  } catch (error) {
    return fail(`has an element that ${datatype} cannot hold: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.slice(0, MAX_MESSAGE_CHARACTERS).split('\n')[0]!;
}
