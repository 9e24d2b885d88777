import type { TensorSignature } from '../../spec/model-facts';
import { showDimensions } from '../data/row-shape';
import { ModelToolError } from '../tool-error';

/** Which outputs mean what, where a model's author says it. */
export type OutputNames = Readonly<Record<string, string>>;

/**
 * The output with a role: the one that is named for it, or the first that is like it.
 * @throws ModelToolError OUTPUT_UNFIT naming the outputs that there are
 */
export function chooseOutput(
  outputs: readonly TensorSignature[],
  role: string,
  names: OutputNames,
  candidates: readonly ((output: TensorSignature) => boolean)[],
): number {
  const named = Object.hasOwn(names, role) ? names[role] : undefined;
  if (named !== undefined) {
    const i = outputs.findIndex(({ name }) => name === named);
    if (i >= 0) return i;
    throw unfit(`the model has no output '${named}'`, outputs);
  }
  for (const isLike of candidates) {
    const i = outputs.findIndex((output) => isLike(output));
    if (i >= 0) return i;
  }
  throw unfit(`none of its outputs looks like ${role}`, outputs);
}

export function isFloating({ datatype }: TensorSignature): boolean {
  return datatype.startsWith('FP');
}

/** Dimensions behind the rows that are not 1. */
export function widthDimensions({ shape }: TensorSignature): readonly (number | string)[] {
  return shape.slice(1).filter((size) => size !== 1);
}

function unfit(message: string, outputs: readonly TensorSignature[]): ModelToolError {
  const known = outputs.map(({ name, datatype, shape }) => `'${name}' ${datatype} ${showDimensions(shape)}`).join(', ');
  return new ModelToolError('OUTPUT_UNFIT', 'output', `${message}, got ${known}: name the right one`);
}
