import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import type { Datatype } from '../../spec/datatypes';
import type { TensorSignature } from '../../spec/model-facts';
import { convertModel, DEFAULT_OPSET, type Conversion } from '../convert/convert-model';
import { findSource } from '../convert/conversion-source';
import { DATATYPE_OF, parseInput, showInput, type InputSignature } from '../convert/input-signature';
import { digestPath } from '../digest-path';
import { digestPreprocessing, readPreprocessingFile, type ReadPreprocessing } from '../preprocessing-file';
import { preprocessingOf } from '../published-manifest';
import type { PythonOptions } from '../python/environment';
import { runPython } from '../python/run-python';
import { writeProvenance } from '../provenance';
import { ModelToolError } from '../tool-error';
import { writeOutputFolder } from '../write-output';
import { settingsOf, type DistilSettings } from './distil-settings';
import { exportRows, type ExportedRows, type RowReading } from './export-rows';

export interface DistilOptions extends PythonOptions {
  /** An ONNX file, or `net.py:build`, a function that makes a PyTorch network. */
  readonly teacher: string;
  /** Weights for a teacher that a function makes. @default - those that it makes */
  readonly teacherWeights?: string;
  /** The teacher's output that has the classes. @default - its only one of floating point with two dimensions */
  readonly teacherOutput?: string;
  /** `student.py:build`, a function that makes the PyTorch network that is to learn. */
  readonly student: string;
  /** What the student begins with. @default - what its function makes */
  readonly studentWeights?: string;
  /** What both take. @default - what an ONNX teacher says */
  readonly inputs?: readonly InputSignature[];
  /** Labelled rows to learn from: NPZ, a folder of pictures, CSV or JSONL. */
  readonly data: string;
  /** Labelled rows that nobody learns from, on which both are measured. */
  readonly validation: string;
  /**
   * How pictures and records of both become inputs, in JSON or YAML. @default - as the manifest beside an ONNX teacher says
   */
  readonly preprocessingFile?: string;
  /** Names of the classes, by index. @default - labels are numbers, or the folders of pictures in the order of their names */
  readonly classNames?: readonly string[];
  /** Folder to write: `student.onnx`, `student.pt` (a `state_dict`), the history of both, and `report.json`. */
  readonly output: string;
  readonly overwrite?: boolean;
  /** How soft the teacher's answers are made. @default 4 */
  readonly temperature?: number;
  /** Share of the loss that is the teacher's; the rest is the labels'. @default 0.7 */
  readonly alpha?: number;
  /** @default 10 */
  readonly epochs?: number;
  /** @default 64 */
  readonly batchSize?: number;
  /** It falls to 0 along a cosine. @default 0.001 */
  readonly learningRate?: number;
  /** @default 0.01 */
  readonly weightDecay?: number;
  /** @default 0 */
  readonly seed?: number;
  /** @default auto: a GPU where PyTorch finds one */
  readonly device?: 'auto' | 'cpu' | 'cuda';
  /** Most rows of each data set. @default - all */
  readonly maxRows?: number;
  /** Where the state of the training is kept, so that the same command goes on after an interruption. @default `<output>.checkpoint` */
  readonly checkpoint?: string;
  /** On how many more of the rows the student may be wrong than the teacher, as a share: 0.01 is 1 %. @default - any */
  readonly maxDrop?: number;
  /** @default - a day */
  readonly timeoutSeconds?: number;
}

/** Teacher and student on the same rows. Accuracy = correct ÷ total × 100 %. */
export interface Distillation {
  readonly teacher: { readonly path: string; readonly accuracy: number; readonly bytes: number | undefined };
  readonly student: {
    readonly path: string;
    readonly accuracy: number;
    /** Before it learned; undefined where it began with a checkpoint that does not say. */
    readonly accuracyBefore: number | undefined;
    readonly bytes: number;
    readonly parameters: number;
  };
  /** Percentage points that the student is less right; negative where it is more right. */
  readonly drop: number;
  /** Share of validation rows, in %, on which both name the same class. */
  readonly agreement: number;
  /** (teacher's bytes − student's bytes) ÷ teacher's bytes × 100; undefined for a teacher that is no file. */
  readonly compression: number | undefined;
  readonly trainRows: number;
  readonly validationRows: number;
  readonly classes: number;
  readonly settings: DistilSettings;
  readonly device: string;
  /** After each epoch: mean loss, and accuracy on the validation rows. */
  readonly epochs: readonly { readonly loss: number; readonly accuracy: number }[];
  /** Where an interrupted training was taken up. */
  readonly resumedAt: { readonly epoch: number; readonly step: number } | undefined;
  readonly conversion: Conversion;
}

interface Learned {
  readonly device: string;
  readonly classes: number;
  readonly trainRows: number;
  readonly validationRows: number;
  readonly teacherAccuracy: number;
  readonly studentAccuracy: number;
  readonly studentAccuracyBefore: number | null;
  readonly agreement: number;
  readonly studentParameters: number;
  readonly epochs: Distillation['epochs'];
  readonly resumedAt: { readonly epoch: number; readonly step: number } | null;
}

const DAY_SECONDS = 86_400;
const CHECKPOINT_FILE = 'checkpoint.pt';
const STUDENT_FILE = 'student.onnx';
const WEIGHTS_FILE = 'student.pt';
const REPORT_FILE = 'report.json';

/**
 * Teaches a small network what a large one knows, and writes it as ONNX. Interrupted, the same call goes on from its checkpoint,
 * which is deleted when the student is written.
 * @throws ModelToolError OPTION_INVALID, SOURCE_…, DATA_…, LABEL_INVALID, GATE_FAILED beyond `maxDrop`, CONVERSION_…, PYTHON_…, OUTPUT_…;
 * OnnxFileError for a teacher that is no ONNX file
 */
export async function distilModel(options: DistilOptions): Promise<Distillation> {
  const settings = settingsOf(options);
  const teacher = await openTeacher(options);
  const preprocessing = await preprocessingFor(options, teacher.inputs);
  const student = await findSource(options.student);
  if (student.kind !== 'torch-factory') {
    throw new ModelToolError(
      'SOURCE_UNKNOWN',
      options.student,
      'a student is a function that makes a PyTorch network: student.py:build',
    );
  }
  const checkpoint = path.resolve(options.checkpoint ?? `${options.output}.checkpoint`);
  const distillation = await writeOutputFolder(
    options.output,
    { overwrite: options.overwrite ?? false },
    async (folder) => {
      // In the folder that a signal clears away, too.
      const exchange = await mkdtemp(path.join(folder, 'exchange-'));
      try {
        options.progress?.('reading the data');
        const { maxRows, classNames } = options;
        const reading = { inputs: teacher.inputs, maxRows, preprocessing, classNames };
        const train = await exportInto(exchange, 'train', options.data, reading);
        const validation = await exportInto(exchange, 'validation', options.validation, reading);
        const weights = path.join(folder, WEIGHTS_FILE);
        const { result, environment } = await runPython<Learned>(
          'torch',
          'distil',
          {
            teacher: teacher.request,
            student: { path: student.path, factory: student.factory, weights: absolute(options.studentWeights) },
            train,
            validation,
            settings,
            opset: DEFAULT_OPSET,
            checkpoint: path.join(checkpoint, CHECKPOINT_FILE),
            fingerprint: await fingerprintOf(
              options,
              settings,
              [teacher.request.path, student.path],
              [train, validation],
              preprocessing === undefined ? undefined : await digestPreprocessing(preprocessing),
            ),
            weights,
          },
          { ...options, timeoutSeconds: options.timeoutSeconds ?? DAY_SECONDS },
        );
        assertDrop(options, result);
        await writeProvenance({
          command: commandOf(options),
          tools: { ...environment.packages, python: environment.version },
          inputs: [teacher.request.path, student.path, options.data, options.validation],
          outputs: [weights],
          report: { ...result },
        });
        const conversion = await convertModel({
          source: options.student,
          weights,
          output: path.join(folder, STUDENT_FILE),
          inputs: teacher.inputs.map((input, i) => asConverted(input, train.inputs[i]!.shape)),
          python: options.python,
          signal: options.signal,
          ...(options.progress === undefined ? {} : { progress: options.progress }),
          ...(options.environment === undefined ? {} : { environment: options.environment }),
        });
        const report = reportOf(options, settings, teacher.bytes, result, conversion);
        await writeFile(path.join(folder, REPORT_FILE), `${JSON.stringify(report, undefined, 2)}\n`);
        return report;
      } finally {
        await rm(exchange, { recursive: true, force: true });
      }
    },
  );
  await rm(checkpoint, { recursive: true, force: true });
  return distillation;
}

async function openTeacher(options: DistilOptions) {
  if (/\.py(:|$)/.test(options.teacher)) {
    const source = await findSource(options.teacher);
    if (options.inputs === undefined) {
      throw new ModelToolError(
        'INPUTS_UNKNOWN',
        '--input',
        'a PyTorch teacher does not say what it takes: give --input name=float32[batch,3,32,32]',
      );
    }
    const request = {
      kind: 'torch',
      path: source.path,
      factory: source.factory ?? null,
      weights: absolute(options.teacherWeights),
      output: null,
    };
    return { request, inputs: options.inputs.map(signatureOf), bytes: undefined };
  }
  const { facts } = readOnnxModel(options.teacher);
  const classes = facts.outputs.filter(({ datatype, shape }) => datatype.startsWith('FP') && shape.length === 2);
  const output =
    options.teacherOutput === undefined && classes.length === 1
      ? classes[0]
      : classes.find(({ name }) => name === options.teacherOutput);
  if (output === undefined) {
    const names = facts.outputs.map(({ name }) => `'${name}'`).join(', ');
    throw new ModelToolError(
      'OPTION_INVALID',
      '--teacher-output',
      `which output has a number for each class? the teacher gives ${names}`,
    );
  }
  const request = {
    kind: 'onnx',
    path: path.resolve(options.teacher),
    factory: null,
    weights: null,
    output: output.name,
  };
  return { request, inputs: facts.inputs, bytes: facts.fileBytes };
}

function signatureOf(input: InputSignature): TensorSignature {
  return { name: input.name, datatype: DATATYPE_OF[input.datatype]!, shape: input.shape };
}

/** What the student takes: the shape that the data have, and any number of rows. */
function asConverted({ name, datatype }: TensorSignature, shape: readonly number[]): InputSignature {
  const type = Object.keys(DATATYPE_OF).find((known) => DATATYPE_OF[known] === (datatype satisfies Datatype))!;
  return parseInput(showInput({ name, datatype: type, shape: ['batch', ...shape.slice(1)] }));
}

function preprocessingFor(
  { teacher, preprocessingFile }: DistilOptions,
  inputs: readonly TensorSignature[],
): Promise<ReadPreprocessing | undefined> {
  if (preprocessingFile !== undefined) return readPreprocessingFile(preprocessingFile, { inputs });
  return preprocessingOf(teacher, undefined);
}

async function exportInto(exchange: string, name: string, place: string, reading: RowReading): Promise<ExportedRows> {
  const folder = path.join(exchange, name);
  await mkdir(folder);
  return exportRows(place, folder, reading);
}

/** What a checkpoint belongs to: with anything of it changed, going on would mix two trainings. */
async function fingerprintOf(
  options: DistilOptions,
  settings: DistilSettings,
  code: readonly string[],
  data: readonly ExportedRows[],
  preprocessing: string | undefined,
): Promise<string> {
  const files = [...code, options.teacherWeights, options.studentWeights].filter((file) => file !== undefined);
  const digests = await Promise.all(files.map(digestPath));
  const { device: _, ...decisive } = settings;
  return createHash('sha256')
    .update(
      JSON.stringify([
        decisive,
        options.student,
        options.teacherOutput,
        digests,
        data.map(({ rows, sha256 }) => [rows, sha256]),
        [preprocessing, options.classNames],
      ]),
    )
    .digest('hex');
}

function assertDrop({ maxDrop, output }: DistilOptions, { teacherAccuracy, studentAccuracy }: Learned): void {
  // Rows are whole: what binary fractions leave behind decides nothing.
  const drop = (teacherAccuracy - studentAccuracy) / 100;
  if (maxDrop === undefined || drop <= maxDrop + 1e-9) return;
  throw new ModelToolError(
    'GATE_FAILED',
    output,
    `the student is right on ${studentAccuracy.toFixed(2)} % and the teacher on ${teacherAccuracy.toFixed(2)} %, and --max-drop allows ${maxDrop * 100} % of the rows; nothing was written, the checkpoint stays`,
  );
}

function reportOf(
  options: DistilOptions,
  settings: DistilSettings,
  teacherBytes: number | undefined,
  learned: Learned,
  conversion: Conversion,
): Distillation {
  const { teacherAccuracy, studentAccuracy, studentAccuracyBefore, resumedAt } = learned;
  const { bytes } = conversion.output;
  const student = path.join(options.output, STUDENT_FILE);
  return {
    teacher: { path: options.teacher, accuracy: teacherAccuracy, bytes: teacherBytes },
    student: {
      path: student,
      accuracy: studentAccuracy,
      accuracyBefore: studentAccuracyBefore ?? undefined,
      bytes,
      parameters: learned.studentParameters,
    },
    drop: teacherAccuracy - studentAccuracy,
    agreement: learned.agreement,
    compression: teacherBytes === undefined ? undefined : ((teacherBytes - bytes) / teacherBytes) * 100,
    trainRows: learned.trainRows,
    validationRows: learned.validationRows,
    classes: learned.classes,
    settings,
    device: learned.device,
    epochs: learned.epochs,
    resumedAt: resumedAt ?? undefined,
    conversion: { ...conversion, output: { ...conversion.output, path: student } },
  };
}

/** As somebody would type it, with the files' names alone. */
function commandOf(options: DistilOptions): string {
  const words = ['slipway model distil'];
  for (const place of [options.teacher, options.student]) words.push(path.basename(place));
  for (const name of ['data', 'validation', 'output'] as const) words.push(`--${name}`, path.basename(options[name]));
  return words.join(' ');
}

function absolute(file: string | undefined): string | null {
  return file === undefined ? null : path.resolve(file);
}
