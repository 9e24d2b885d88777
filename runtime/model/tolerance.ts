import type { Datatype } from '../spec/datatypes';
import type { ModelFacts, TensorSignature } from '../spec/model-facts';
import type { Tolerance } from '../spec/model-manifest';
import { PublishError } from './publish-error';

/**
 * How far replicas may differ from the machine that published. Processors and CUDA sum in different orders, and CUDA
 * convolutions take TF32 with 11 significant bits by default: FP32 gets 1 % of the value. FP64 gets less, because TF32
 * does not touch it; FP16 more, because every step is rounded to 11 bits. All other datatypes must be equal.
 */
const BY_DATATYPE: Partial<Record<Datatype, Tolerance>> = {
  FP16: { kind: 'elementwise', absolute: 1e-2, relative: 5e-2 },
  FP32: { kind: 'elementwise', absolute: 1e-3, relative: 1e-2 },
  FP64: { kind: 'elementwise', absolute: 1e-6, relative: 1e-5 },
};

/** Operators of INT8 arithmetic: their rounding moves by whole steps between processors with and without VNNI. */
const QUANTIZED = /^(QLinear|QGemm|QAttention|Dynamic(Quantize|QLinear)|MatMulInteger|ConvInteger|QuantizeLinear)/;

/**
 * The tolerance of each output: what the author says, else by datatype; a quantized model's floating-point rows need
 * only keep their largest element in place.
 * @throws PublishError TOLERANCE_INVALID for an output that the model does not have.
 */
export function chooseTolerances(
  facts: ModelFacts,
  chosen: Readonly<Record<string, Tolerance>> = {},
): ReadonlyMap<string, Tolerance> {
  const names = facts.outputs.map(({ name }) => name);
  const stranger = Object.keys(chosen).find((name) => !names.includes(name));
  if (stranger !== undefined) {
    throw new PublishError(
      'TOLERANCE_INVALID',
      `tolerances.${stranger}`,
      `must be an output of the model (${names.join(', ')}), got '${stranger}'`,
    );
  }
  const isQuantized = facts.operators.some(({ operator }) => QUANTIZED.test(operator));
  return new Map(
    facts.outputs.map((output) => [output.name, chosen[output.name] ?? defaultTolerance(output, isQuantized)]),
  );
}

function defaultTolerance({ datatype, shape }: TensorSignature, isQuantized: boolean): Tolerance {
  const byDatatype = BY_DATATYPE[datatype];
  if (byDatatype === undefined) return { kind: 'exact' };
  return isQuantized && shape.length >= 2 && shape.at(-1) !== 1 ? { kind: 'top1' } : byDatatype;
}
