import { argMax, numberReader } from '../../onnx/tensor-comparison';
import type { Tensor } from '../../onnx/tensor-encoding';
import type { ModelFacts, TensorSignature } from '../../spec/model-facts';
import { openModelFile, type ModelFileOptions } from '../measure/open-model-file';
import { runRows, type RunnableModel } from '../measure/runnable-model';

/** How far one output of a model is from the same of another, over all samples. */
export interface OutputDifference {
  readonly name: string;
  /** Largest difference of two elements. Infinite where one of them is no number. */
  readonly maxAbsolute: number;
  /** The same as a share of the largest magnitude that the source's output has in that sample. */
  readonly maxRelative: number;
  /** Root of the mean square of differences, as a share of that of the source's elements. */
  readonly meanRelative: number;
  /**
   * Share of rows whose largest element is at the same place, for floating point along the last axis that is longer than 1;
   * share of equal elements for whole numbers, truth values and text. Undefined where an output has no rows of classes.
   */
  readonly agreement: number | undefined;
}

/** What a change did to a model's answers. */
export interface ModelComparison {
  /** Runs, each of one input. */
  readonly samples: number;
  readonly rows: number;
  /** In the order of the model's outputs. */
  readonly outputs: readonly OutputDifference[];
  /** The largest of the outputs'. */
  readonly maxAbsolute: number;
  readonly maxRelative: number;
  /** The smallest of the outputs'. Undefined where none has one. */
  readonly agreement: number | undefined;
}

/**
 * Runs two models on the same samples and says how far their outputs are apart.
 * @param facts signature of the source; the other model must have the same outputs
 * @param otherOptions how the other one is opened
 * @throws ModelToolError MODEL_RUN_FAILED when one does not run on a sample; PublishError PACKAGE_MISSING or MODEL_NOT_LOADED
 */
export async function compareModels(
  source: string,
  other: string,
  facts: Pick<ModelFacts, 'inputs' | 'outputs'>,
  samples: AsyncIterable<readonly Tensor[]>,
  otherOptions: ModelFileOptions = {},
): Promise<ModelComparison> {
  const opened: RunnableModel[] = [];
  try {
    opened.push(await openModelFile(source, facts));
    opened.push(await openModelFile(other, facts, otherOptions));
    const [before, after] = opened as [RunnableModel, RunnableModel];
    const tallies = facts.outputs.map((output) => new Tally(output));
    let count = 0;
    let rows = 0;
    for await (const inputs of samples) {
      const expected = await runOn(before, inputs);
      const got = await runOn(after, inputs);
      tallies.forEach((tally, i) => tally.add(expected[i]!, got[i]!));
      count += 1;
      rows += inputs[0]?.shape[0] ?? 1;
    }
    return summarize(
      count,
      rows,
      tallies.map((tally) => tally.result()),
    );
  } finally {
    for (const model of opened) await model.close();
  }
}

/** What the tallies of all outputs come to. */
export function summarize(samples: number, rows: number, outputs: readonly OutputDifference[]): ModelComparison {
  const agreements = outputs.flatMap(({ agreement }) => (agreement === undefined ? [] : [agreement]));
  return {
    samples,
    rows,
    outputs,
    maxAbsolute: Math.max(0, ...outputs.map(({ maxAbsolute }) => maxAbsolute)),
    maxRelative: Math.max(0, ...outputs.map(({ maxRelative }) => maxRelative)),
    agreement: agreements.length === 0 ? undefined : Math.min(...agreements),
  };
}

/** An input without dimensions has no rows that could be filled up. */
function runOn(model: RunnableModel, inputs: readonly Tensor[]): Promise<readonly Tensor[]> {
  return inputs.some(({ shape }) => shape.length === 0) ? model.run(inputs) : runRows(model, inputs);
}

/** Adds up what one output shows. For tools whose source is no ONNX file, too. */
export class Tally {
  #maxAbsolute = 0;
  #maxRelative = 0;
  #squares = 0;
  #differences = 0;
  #alike = 0;
  #counted = 0;

  constructor(private readonly signature: TensorSignature) {}

  add(expected: Tensor, got: Tensor): void {
    const isSame = expected.datatype === got.datatype && expected.shape.join() === got.shape.join();
    if (!isSame) this.#maxAbsolute = this.#maxRelative = this.#differences = Infinity;
    if (isSame && this.signature.datatype !== 'BYTES') this.#addNumbers(expected, got);
    this.#addRows(expected, got, isSame);
  }

  #addNumbers(expected: Tensor, got: Tensor): void {
    const numberAt = numberReader(expected.datatype);
    let largest = 0;
    let worst = 0;
    for (let i = 0; i < expected.data.length; i++) {
      const [value, other] = [numberAt(expected.data, i), numberAt(got.data, i)];
      // Infinities and NaN that are the same are no difference; that they are not numbers is the source's own affair.
      if (value === other || (Number.isNaN(value) && Number.isNaN(other))) {
        if (Number.isFinite(value)) this.#squares += value * value;
        if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
        continue;
      }
      const difference = Math.abs(value - other);
      worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference);
      if (!Number.isFinite(value)) continue;
      largest = Math.max(largest, Math.abs(value));
      this.#squares += value * value;
      this.#differences += Number.isNaN(difference) ? Infinity : difference * difference;
    }
    this.#maxAbsolute = Math.max(this.#maxAbsolute, worst);
    this.#maxRelative = Math.max(this.#maxRelative, worst === 0 ? 0 : worst / largest);
  }

  #addRows(expected: Tensor, got: Tensor, isSame: boolean): void {
    const { datatype, shape, data } = expected;
    if (!datatype.startsWith('FP')) {
      this.#counted += data.length;
      if (isSame) for (let i = 0; i < data.length; i++) this.#alike += Object.is(data[i], got.data[i]) ? 1 : 0;
      return;
    }
    const classes = classesOf(shape);
    if (classes === undefined) return;
    const rows = data.length / classes;
    this.#counted += rows;
    const numberAt = numberReader(datatype);
    for (let row = 0; isSame && row < rows; row++) {
      this.#alike += argMax(data, row, classes, numberAt) === argMax(got.data, row, classes, numberAt) ? 1 : 0;
    }
  }

  result(): OutputDifference {
    return {
      name: this.signature.name,
      maxAbsolute: this.#maxAbsolute,
      maxRelative: this.#maxRelative,
      meanRelative: this.#differences === 0 ? 0 : Math.sqrt(this.#differences / this.#squares),
      agreement: this.#counted === 0 ? undefined : this.#alike / this.#counted,
    };
  }
}

/** How many classes a row has, when there is a row and its classes are the last axis but for those of size 1. */
function classesOf(shape: readonly number[]): number | undefined {
  const last = shape.findLastIndex((size) => size !== 1);
  return last < 1 || shape[last] === 0 ? undefined : shape[last];
}
