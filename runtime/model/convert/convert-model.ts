import { mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { OnnxFileError } from '../../onnx/onnx-file-error';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import type { ModelFacts } from '../../spec/model-facts';
import type { ModelComparison } from '../compare/compare-models';
import { NpzFile } from '../data/npz-file';
import { onnxRuntimeVersion } from '../measure/open-model-file';
import { writeProvenance } from '../provenance';
import { PublishError } from '../publish-error';
import type { PythonOptions } from '../python/environment';
import { runPython } from '../python/run-python';
import { ModelToolError } from '../tool-error';
import { writeOutput } from '../write-output';
import { assertFaithful, compareWithSource, type AnsweredCase, type CaseComparison } from './compare-with-source';
import { CONVERTERS, findSource, isPickle, type ConversionSource } from './conversion-source';
import { showInput, type InputSignature } from './input-signature';

export interface ConvertOptions extends PythonOptions {
  /** A file, a SavedModel folder, or `net.py:build`, a function that makes a PyTorch network. */
  readonly source: string;
  /** The ONNX file to write. Its history, `<output>.provenance.json`, is written beside it. */
  readonly output: string;
  /** Replace what is there. @default false */
  readonly overwrite?: boolean;
  /** Weights for the network that a factory makes: a `state_dict` or `.safetensors`. @default - those that it makes */
  readonly weights?: string;
  /** What the network takes, in its order. @default - what the source or the sample says */
  readonly inputs?: readonly InputSignature[];
  /** Names of the outputs, in their order. @default - the source's */
  readonly outputNames?: readonly string[];
  /** Of a SavedModel. @default serving_default */
  readonly signature?: string;
  /** An NPZ file with rows to compare on, an array for each input. @default - made from the signature, always the same */
  readonly samples?: string;
  /** @default 18 */
  readonly opset?: number;
  /** Largest difference from the source, as a share of the largest element of an output. @default 0.001, and 0.05 for a network that was trained with quantization in mind */
  readonly tolerance?: number;
  /** Load a pickle, which can run any code with the user's rights. @default false: refused */
  readonly trustPickle?: boolean;
  /** Types in a `.skops` file that its author vouches for, such as `sklearn.tree._tree.Tree`. @default - those that skops knows */
  readonly trustedTypes?: readonly string[];
}

/** What was converted, and how far it is from its source. */
export interface Conversion {
  readonly source: { readonly path: string; readonly kind: string };
  readonly output: { readonly path: string; readonly bytes: number; readonly sha256: string };
  readonly opset: number;
  readonly inputs: ModelFacts['inputs'];
  readonly outputs: ModelFacts['outputs'];
  /** Versions of what converted and compared. */
  readonly tools: Readonly<Record<string, string>>;
  readonly tolerance: number;
  readonly comparison: ModelComparison;
  /** One for each batch size that was tried. */
  readonly cases: readonly CaseComparison[];
  readonly notes: readonly string[];
}

interface Converted {
  readonly kind: string;
  readonly inputs: readonly InputSignature[];
  readonly cases: readonly AnsweredCase[];
  readonly notes: readonly string[];
  /** Whether it rounds on its way, so that the last digit of one layer is a step of the next. */
  readonly rounds?: boolean;
}

export const DEFAULT_OPSET = 18;
/** Sums of float32 in another order differ in the sixth digit; an operator that is another one, in the first. */
export const DEFAULT_TOLERANCE = 1e-3;
/** One step of an 8-bit range whose half is in use is a share of 1/64. */
export const DEFAULT_TOLERANCE_OF_ROUNDING = 0.05;
const MAX_SAMPLE_BYTES = 2 ** 31;
/** Where `trustPickle` lets run what a file asks for. */
const HOLDS_PICKLES: ReadonlySet<ConversionSource['kind']> = new Set([
  'torch-pickle',
  'torch-program',
  'sklearn-pickle',
]);
const SMALLEST_OPSET = 13;
const LARGEST_OPSET = 23;

/**
 * Makes an ONNX file of a trained network by its framework's own converter, runs both on the same samples, of several batch
 * sizes, and writes the file where they agree.
 * @throws ModelToolError SOURCE_… for what cannot be read or must not be, INPUTS_UNKNOWN, CONVERSION_FAILED, CONVERSION_DIFFERS beyond the
 * tolerance, PYTHON_…, OUTPUT_…
 */
export async function convertModel(options: ConvertOptions): Promise<Conversion> {
  const source = await findSource(options.source);
  await checkOptions(source, options);
  return writeOutput(options.output, { overwrite: options.overwrite ?? false }, async (folder) => {
    const unfinished = path.join(folder, path.basename(options.output));
    // In the folder that a signal clears away, too.
    const exchange = await mkdtemp(path.join(folder, 'exchange-'));
    try {
      return await convertInto(unfinished, exchange, source, options);
    } finally {
      await rm(exchange, { recursive: true, force: true });
    }
  });
}

async function convertInto(
  file: string,
  exchange: string,
  source: ConversionSource,
  options: ConvertOptions,
): Promise<Conversion> {
  // Without it the comparison would fail after minutes of conversion.
  const runtimeVersion = await onnxRuntimeVersion();
  const { set, script } = CONVERTERS[source.kind];
  const { result, environment } = await runPython<Converted>(
    set,
    script,
    requestOf(file, exchange, source, options),
    options,
  );
  const tolerance = options.tolerance ?? (result.rounds === true ? DEFAULT_TOLERANCE_OF_ROUNDING : DEFAULT_TOLERANCE);
  options.progress?.('comparing with the source on ONNX Runtime');
  const model = await inWordsOfAuthor(options.output, file, () => readOnnxModel(file));
  const opset = model.facts.opsets.find(({ domain }) => domain === '')?.version ?? 0;
  if (options.opset !== undefined && opset !== options.opset) {
    throw new ModelToolError(
      'CONVERSION_FAILED',
      '--opset',
      `the converter writes opset ${opset} for this network, got ${options.opset}`,
    );
  }
  const { comparison, cases } = await inWordsOfAuthor(options.output, file, () =>
    compareWithSource(file, model.facts, result.inputs, result.cases),
  );
  assertFaithful(options.output, comparison, cases, tolerance);
  const tools = {
    ...environment.packages,
    python: environment.version,
    'onnxruntime-node': runtimeVersion,
  };
  await writeProvenance({
    command: commandOf(options),
    tools,
    // What goes on is the history of the weights, where they are a file of their own.
    inputs: [...(options.weights === undefined ? [] : [options.weights]), source.path],
    outputs: model.files.map(({ localPath }) => localPath),
    report: { tolerance, comparison },
  });
  const [{ sha256 } = { sha256: '' }] = model.files;
  const { inputs, outputs, fileBytes } = model.facts;
  return {
    source: { path: options.source, kind: result.kind },
    output: { path: options.output, bytes: fileBytes, sha256 },
    opset,
    inputs,
    outputs,
    tools,
    tolerance,
    comparison,
    cases,
    notes: [...result.notes, ...notesOf(source, options, model.facts)],
  };
}

async function checkOptions(source: ConversionSource, options: ConvertOptions): Promise<void> {
  const { opset, weights, samples, signature, trustPickle = false, tolerance } = options;
  if (isPickle(source) && !trustPickle) {
    throw new ModelToolError(
      'SOURCE_UNSAFE',
      options.source,
      'is a pickle, and loading one can run any code: save the model with skops.io.dump, or say --trust-pickle if you made it',
    );
  }
  if (opset !== undefined && !(Number.isInteger(opset) && opset >= SMALLEST_OPSET && opset <= LARGEST_OPSET)) {
    throw new ModelToolError(
      'OPTION_INVALID',
      '--opset',
      `must be a whole number from ${SMALLEST_OPSET} to ${LARGEST_OPSET}, got ${opset}`,
    );
  }
  if (tolerance !== undefined && !(tolerance >= 0 && Number.isFinite(tolerance))) {
    throw new ModelToolError('OPTION_INVALID', '--tolerance', `must be a number from 0 up, got ${tolerance}`);
  }
  if (weights !== undefined) {
    if (source.kind !== 'torch-factory') {
      throw new ModelToolError(
        'INPUTS_UNKNOWN',
        '--weights',
        'is for a factory: net.py:build; this source has its own',
      );
    }
    if (
      !(await stat(weights).then(
        (stats) => stats.isFile(),
        () => false,
      ))
    ) {
      throw new ModelToolError('SOURCE_UNREADABLE', weights, 'does not exist, or is no file');
    }
  }
  if (signature !== undefined && source.kind !== 'saved-model') {
    throw new ModelToolError('OPTION_INVALID', '--signature', 'is of a SavedModel alone');
  }
  // NumPy would unpack what the zip says; whether that is sane is known before.
  if (samples !== undefined) (await NpzFile.open(samples, MAX_SAMPLE_BYTES)).close();
}

function requestOf(file: string, exchange: string, source: ConversionSource, options: ConvertOptions): object {
  const { kind, path: where, factory } = source;
  const absolute = (given: string | undefined) => (given === undefined ? null : path.resolve(given));
  return {
    source: {
      kind,
      path: where,
      factory: factory ?? null,
      weights: absolute(options.weights),
      signature: options.signature ?? null,
      trusted: options.trustPickle ?? false,
      trustedTypes: options.trustedTypes ?? [],
    },
    output: file,
    folder: exchange,
    opset: options.opset ?? DEFAULT_OPSET,
    inputs: options.inputs ?? null,
    outputs: options.outputNames ?? null,
    samples: absolute(options.samples),
  };
}

/** As somebody would type it, with the files' names alone. */
function commandOf(options: ConvertOptions): string {
  const name = (file: string) => path.basename(file);
  const words = ['slipway model convert', name(options.source), '-o', name(options.output)];
  for (const input of options.inputs ?? []) words.push('--input', showInput(input));
  for (const output of options.outputNames ?? []) words.push('--output-name', output);
  if (options.weights !== undefined) words.push('--weights', name(options.weights));
  if (options.signature !== undefined) words.push('--signature', options.signature);
  if (options.samples !== undefined) words.push('--samples', name(options.samples));
  if (options.opset !== undefined) words.push('--opset', `${options.opset}`);
  if (options.tolerance !== undefined) words.push('--tolerance', `${options.tolerance}`);
  for (const type of options.trustedTypes ?? []) words.push('--trust-type', type);
  if (options.trustPickle === true) words.push('--trust-pickle');
  return words.join(' ');
}

/** What the converter wrote lies under a temporary name, which tells its author nothing. */
async function inWordsOfAuthor<T>(output: string, file: string, use: () => T | Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    const isOfFile = OnnxFileError.is(error) || (PublishError.is(error) && error.code === 'MODEL_NOT_LOADED');
    if (!isOfFile) throw error;
    const said = error.message.slice(`${error.code} ${file}: `.length).replaceAll(file, 'model');
    throw new ModelToolError('CONVERSION_FAILED', output, `what the converter wrote cannot be served: ${said}`);
  }
}

function whyUnbatched({ inputs, outputs }: ModelFacts): string | undefined {
  const names = (tensors: ModelFacts['inputs']) => tensors.map(({ name }) => `'${name}'`).join(', ');
  const fixed = inputs.filter(({ shape }) => typeof shape[0] !== 'string');
  if (fixed.length > 0) return `${names(fixed)} has a fixed size in dimension 0, as its source or --input says`;
  const uncounted = [...inputs, ...outputs].filter(({ shape }) => shape[0] !== 'batch');
  if (uncounted.length === 0) return undefined;
  return `${names(uncounted)} does not count rows (batch) in dimension 0`;
}

function notesOf(
  source: ConversionSource,
  { trustPickle = false, samples }: ConvertOptions,
  facts: ModelFacts,
): readonly string[] {
  const notes: string[] = [];
  if (trustPickle && HOLDS_PICKLES.has(source.kind)) {
    notes.push(
      '--trust-pickle: what the file asked for ran, in a process of its own without your credentials, with your rights on this machine',
    );
  } else if (source.kind === 'torch-factory') {
    notes.push('the code of the factory ran, in a process of its own without your credentials');
  }
  const unbatched = whyUnbatched(facts);
  if (unbatched !== undefined) notes.push(`${unbatched}: a server cannot join requests`);
  if (samples === undefined) notes.push('compared on numbers made from the signature; --samples compares on yours');
  return notes;
}
