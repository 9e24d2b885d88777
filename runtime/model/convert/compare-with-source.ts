import { readFile } from 'node:fs/promises';
import { castNpy, readNpy } from '../../onnx/npy';
import { TensorEncodingError, type Tensor } from '../../onnx/tensor-encoding';
import type { ModelFacts, TensorSignature } from '../../spec/model-facts';
import { percent } from '../compare/acceptance';
import { summarize, Tally, type ModelComparison } from '../compare/compare-models';
import { openModelFile } from '../measure/open-model-file';
import { ModelToolError } from '../tool-error';
import type { InputSignature } from './input-signature';

/** What the source answered to one sample: files of arrays, by the names of tensors. */
export interface AnsweredCase {
  readonly inputs: readonly NamedFile[];
  readonly outputs: readonly NamedFile[];
}

interface NamedFile {
  readonly name: string;
  readonly file: string;
}

/** How the ONNX file did on one sample. */
export interface CaseComparison {
  /** Dimension 0 of the first input. */
  readonly batch: number;
  /** As `ModelComparison.maxRelative`, of this sample alone. */
  readonly maxRelative: number;
  /** Why it did not run, where it did not. */
  readonly refusal?: string;
}

/**
 * Runs an ONNX file on what its source was run on, and says how far they are apart.
 * @throws ModelToolError CONVERSION_FAILED where outputs cannot be told apart; PublishError PACKAGE_MISSING or MODEL_NOT_LOADED
 */
export async function compareWithSource(
  file: string,
  facts: ModelFacts,
  signatures: readonly InputSignature[],
  answered: readonly AnsweredCase[],
): Promise<{ comparison: ModelComparison; cases: readonly CaseComparison[] }> {
  const model = await openModelFile(file, facts);
  const total = facts.outputs.map((output) => new Tally(output));
  const cases: CaseComparison[] = [];
  let rows = 0;
  try {
    for (const { inputs, outputs } of answered) {
      if (outputs.length !== facts.outputs.length) {
        throw new ModelToolError(
          'CONVERSION_FAILED',
          file,
          `the source gives ${outputs.length} tensors, and the graph has ${facts.outputs.length} outputs: ${facts.outputs.map(({ name }) => name).join(', ')}`,
        );
      }
      const given = await Promise.all(signatures.map(({ name }) => readInput(name, inputs, facts)));
      const batch = given[0]?.shape[0] ?? 1;
      try {
        // An input that the graph does not use is none of its inputs.
        const got = await model.run(given.filter((tensor) => tensor !== undefined));
        const alone = facts.outputs.map((output) => new Tally(output));
        for (const [i, signature] of facts.outputs.entries()) {
          const expected = await readExpected(outputs[i]!.file, signature, got[i]!);
          alone[i]!.add(expected, got[i]!);
          total[i]!.add(expected, got[i]!);
        }
        const own = alone.map((tally) => tally.result());
        cases.push({ batch, maxRelative: Math.max(0, ...own.map(({ maxRelative }) => maxRelative)) });
        rows += batch;
      } catch (error) {
        if (!ModelToolError.is(error) || error.code !== 'MODEL_RUN_FAILED') throw error;
        cases.push({ batch, maxRelative: Infinity, refusal: error.message.replace(/^\S+ \S+: /, '') });
      }
    }
  } finally {
    await model.close();
  }
  const results = total.map((tally) => tally.result());
  return { comparison: summarize(cases.length, rows, results), cases };
}

/**
 * Refuses a graph that answers otherwise than its source, or only batches of one size.
 * @throws ModelToolError CONVERSION_DIFFERS
 */
export function assertFaithful(
  output: string,
  comparison: ModelComparison,
  cases: readonly CaseComparison[],
  tolerance: number,
): void {
  const refused = cases.find(({ refusal }) => refusal !== undefined);
  if (refused !== undefined) {
    const answered = cases.filter(({ refusal }) => refusal === undefined).map(({ batch }) => batch);
    const frozen =
      answered.length === 0
        ? 'the graph does not run'
        : `the graph answers batches of ${answered.join(' and ')} and not of ${refused.batch}, so a size is frozen in it: write the network without sizes of its own (reshape to -1), or fix the size with --input name=float32[${answered[0]},…]`;
    throw new ModelToolError('CONVERSION_DIFFERS', output, `${frozen} (${refused.refusal}); nothing was written`);
  }
  const said = comparison.outputs.flatMap(({ name, maxAbsolute, maxRelative, agreement }) => {
    if (!Number.isFinite(maxRelative)) {
      return [
        `output '${name}' has another shape than the source's, or numbers where the source has none, or the reverse`,
      ];
    }
    if (!(maxRelative <= tolerance)) {
      return [`output '${name}' differs from the source by up to ${percent(maxRelative)} of its largest element`];
    }
    // Text has no distance: `agreement` counts the elements that are equal.
    const isOther = maxAbsolute === 0 && agreement !== undefined && agreement < 1;
    return isOther ? [`output '${name}' has ${percent(1 - agreement)} other elements than the source`] : [];
  });
  if (said.length === 0) return;
  throw new ModelToolError(
    'CONVERSION_DIFFERS',
    output,
    `${said.join('; ')}, and --tolerance allows ${percent(tolerance)}; nothing was written`,
  );
}

async function readInput(name: string, files: readonly NamedFile[], facts: ModelFacts): Promise<Tensor | undefined> {
  const signature = facts.inputs.find((input) => input.name === name);
  const file = files.find((candidate) => candidate.name === name)?.file;
  if (signature === undefined || file === undefined) return undefined;
  const array = readNpy(await readFile(file));
  return { name, datatype: signature.datatype, shape: array.shape, data: castNpy(array, signature.datatype) };
}

/** The source's answer in the graph's datatype, and in its shape where they differ by dimensions of size 1 alone. */
async function readExpected(file: string, { name, datatype }: TensorSignature, got: Tensor): Promise<Tensor> {
  const array = readNpy(await readFile(file));
  const isSame = squeeze(array.shape) === squeeze(got.shape);
  try {
    return { name, datatype, shape: isSame ? got.shape : array.shape, data: castNpy(array, datatype) };
  } catch (error) {
    if (!TensorEncodingError.is(error)) throw error;
    throw new ModelToolError(
      'CONVERSION_DIFFERS',
      name,
      `is ${datatype} in the graph, and not in the source: ${error.message}`,
    );
  }
}

function squeeze(shape: readonly number[]): string {
  return shape.filter((size) => size !== 1).join();
}
