import type { Tensor, TensorData } from '../onnx/tensor-encoding';
import { Cancellation } from './cancellation';
import type { EnsemblePlan, PlannedStep } from './ensemble-plan';
import { ServerError } from './errors';
import type { InferCall } from './infer-call';
import type { Servable } from './servable';

/** Runs one step on its model as it is now. */
export type RunStep = (
  step: PlannedStep,
  run: (model: Servable) => Promise<readonly Tensor[]>,
) => Promise<readonly Tensor[]>;

/**
 * One request on its way through an ensemble. A step begins as soon as all tensors that it reads are there; the first
 * failure cancels the others and is the answer.
 */
export class EnsembleRun {
  private readonly tensors = new Map<string, Tensor>();
  private readonly readersLeft: Map<string, number>;
  private readonly cancellation = new Cancellation();
  private waiting: readonly PlannedStep[];
  private running = 0;
  private settle: { resolve: (outputs: readonly Tensor[]) => void; reject: (error: unknown) => void } | undefined;

  constructor(
    private readonly plan: EnsemblePlan,
    private readonly call: InferCall,
    private readonly runStep: RunStep,
  ) {
    this.waiting = plan.steps;
    this.readersLeft = new Map(plan.readers);
    for (const input of call.inputs) this.tensors.set(input.name, input);
  }

  /** @returns the ensemble's outputs in its order. @throws what the first step that fails throws. */
  async outputs(): Promise<readonly Tensor[]> {
    const { cancellation } = this.call;
    const onCancel = (reason: ServerError): void => this.cancellation.cancel(reason);
    cancellation.onCancel(onCancel);
    try {
      return await new Promise((resolve, reject) => {
        this.settle = { resolve, reject };
        this.beginReady();
      });
    } finally {
      cancellation.offCancel(onCancel);
    }
  }

  private beginReady(): void {
    const ready = this.waiting.filter(({ inputMap }) => [...inputMap.values()].every((name) => this.tensors.has(name)));
    this.waiting = this.waiting.filter((step) => !ready.includes(step));
    for (const step of ready) {
      this.running += 1;
      this.runStep(step, (model) => this.infer(step, model)).then(
        (outputs) => this.finish(step, outputs),
        (error: unknown) => this.fail(error),
      );
    }
    if (this.running === 0) {
      this.settle!.resolve(this.plan.target.outputs.map(({ name }) => ({ ...this.tensors.get(name)!, name })));
    }
  }

  private async infer(step: PlannedStep, model: Servable): Promise<readonly Tensor[]> {
    const { inputs: wanted, maxRows } = model.assertReady().target;
    const inputs = wanted.map((input) => {
      const tensor = this.tensors.get(step.inputMap.get(input.name) ?? '');
      if (tensor?.datatype !== input.datatype) throw unfit(step, model);
      assertShape(step, { ...tensor, name: input.name }, input.shape);
      return this.take(tensor, step.inputMap.get(input.name)!, input.name);
    });
    const rows = maxRows === undefined ? 1 : rowsOf(step, inputs, maxRows);
    const outputs = await model.infer({ ...this.call, inputs, rows, cancellation: this.cancellation });
    const isWhole = [...step.outputMap.keys()].every((name) => outputs.some((output) => output.name === name));
    if (!isWhole) throw unfit(step, model);
    return outputs;
  }

  private finish(step: PlannedStep, outputs: readonly Tensor[]): void {
    this.running -= 1;
    for (const output of outputs) {
      const name = step.outputMap.get(output.name);
      if (name !== undefined) this.tensors.set(name, output);
    }
    if (this.cancellation.reason === undefined) this.beginReady();
  }

  private fail(error: unknown): void {
    this.running -= 1;
    this.settle!.reject(this.cancellation.reason ?? error);
    this.cancellation.cancel(error instanceof ServerError ? error : new ServerError('INTERNAL', 'another step failed'));
  }

  /**
   * A tensor for one reader. A run takes the buffers of its inputs with it. What a step made may be shared with the answers
   * of other requests or lie in a response cache, and inputs that came in binary lie in one body: readers of those get
   * copies. An input with memory to itself goes to its last reader as it is.
   */
  private take(tensor: Tensor, name: string, as: string): Tensor {
    const left = this.readersLeft.get(name)! - 1;
    this.readersLeft.set(name, left);
    const isOwn = left === 0 && isAlone(tensor, this.call.inputs);
    return { ...tensor, name: as, data: isOwn ? tensor.data : copyOf(tensor.data) };
  }
}

/** Whether a tensor is an input of the request, and the only one in its buffer. */
function isAlone({ data }: Tensor, inputs: readonly Tensor[]): boolean {
  const sharing = inputs.filter((input) => bufferOf(input.data) === bufferOf(data));
  return sharing.length === 1 && sharing[0]!.data === data;
}

function bufferOf(data: TensorData): unknown {
  return ArrayBuffer.isView(data) ? data.buffer : data;
}

function copyOf(data: TensorData): TensorData {
  // Text is sent by value.
  return ArrayBuffer.isView(data) ? data.slice() : data;
}

function rowsOf({ title }: PlannedStep, inputs: readonly Tensor[], maxRows: number): number {
  const [first] = inputs;
  const rows = first?.shape[0] ?? 1;
  for (const { name, shape } of inputs) {
    if (shape[0] === rows) continue;
    throw refused(`${title}: input '${name}' has ${shape[0]} rows and input '${first!.name}' has ${rows}`);
  }
  if (rows > maxRows) throw refused(`${title} takes at most ${maxRows} rows in one request, got ${rows}`);
  return rows;
}

function assertShape({ title }: PlannedStep, { name, shape }: Tensor, wanted: readonly (number | string)[]): void {
  const fits =
    shape.length === wanted.length && wanted.every((size, d) => typeof size === 'string' || size === shape[d]);
  if (fits) return;
  const expected = wanted.map((size) => (typeof size === 'string' ? -1 : size));
  throw refused(`${title}: input '${name}' must have shape [${expected.join(',')}], got [${shape.join(',')}]`);
}

/** Weights of labels may choose a version that nobody checked the ensemble against. */
function unfit({ title }: PlannedStep, { version }: Servable): ServerError {
  return new ServerError('MODEL_NOT_READY', `${title} chose version ${version}, which does not fit the ensemble`);
}

/** The request's own sizes lead here: what is declared fits, or the ensemble would not be ready. */
function refused(message: string): ServerError {
  return new ServerError('RUN_REFUSED', message);
}
