import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { OnnxModel } from '../onnx/read-onnx-model';
import { Preprocessor } from '../preprocess/preprocessor';
import { PreprocessError } from '../preprocess/preprocess-error';
import { checkEvaluation, type EvaluationEvidence } from '../spec/evaluation-evidence';
import { describeField, isRecord, type RefuseField } from '../spec/manifest-fields';
import type { ModelManifest } from '../spec/model-manifest';
import { checkLicence } from './licence';
import type { StoredFile } from './model-store';
import { digestPreprocessing, readPreprocessingFile, type ReadPreprocessing } from './preprocessing-file';
import { endsWith, readProvenance } from './provenance';
import { PublishError } from './publish-error';

export interface DescriptionOptions {
  /** How users' data becomes inputs, in JSON or YAML; files that it names lie beside it. @default - users send tensors */
  readonly preprocessingFile?: string;
  /** What `slipway model evaluate` wrote about this very model file. @default - no evidence */
  readonly evaluationFile?: string;
  /** An SPDX licence expression. @default - nothing is said of the licence */
  readonly licence?: string;
}

/** What a manifest says of its model beyond digests and facts. */
export interface Descriptions {
  readonly entries: Pick<ModelManifest, 'preprocessing' | 'evaluation' | 'provenance' | 'licence'>;
  /** Files that go into the version because of it. */
  readonly files: readonly StoredFile[];
  readonly preprocessing?: ReadPreprocessing;
}

/**
 * Reads and checks what is said of a model: preprocessing against its inputs, evaluation and history against its digests.
 * @throws PublishError PREPROCESSING_INVALID, EVALUATION_INVALID, EVALUATION_MISMATCH, EVALUATION_FAILED, PROVENANCE_MISMATCH,
 * LICENCE_INVALID, FILE_UNREADABLE; ModelToolError PROVENANCE_INVALID
 */
export async function readDescriptions(
  { facts, files }: Pick<OnnxModel, 'facts' | 'files'>,
  { source, preprocessingFile, evaluationFile, licence }: DescriptionOptions & { readonly source: string },
): Promise<Descriptions> {
  const preprocessing =
    preprocessingFile === undefined ? undefined : await readPreprocessingFile(preprocessingFile, facts);
  const evaluation =
    evaluationFile === undefined ? undefined : await readEvaluation(evaluationFile, files, preprocessing);
  const provenance = await readProvenance(source);
  if (provenance !== undefined && !endsWith(provenance, files[0]!.sha256)) {
    throw new PublishError(
      'PROVENANCE_MISMATCH',
      `${source}.provenance.json`,
      `is the history of another file, for ${source} has SHA-256 ${files[0]!.sha256}; remove it, or publish the file that it is of`,
    );
  }
  const stored = await Promise.all([...(preprocessing?.files ?? [])].map(([name, place]) => storedFile(name, place)));
  if (preprocessing !== undefined) await assertUsable(preprocessing, preprocessingFile!, facts.inputs);
  return {
    entries: {
      ...(preprocessing === undefined ? {} : { preprocessing: preprocessing.preprocessing }),
      ...(evaluation === undefined ? {} : { evaluation }),
      ...(provenance === undefined ? {} : { provenance }),
      ...(licence === undefined ? {} : { licence: checkLicence(licence, '--licence') }),
    },
    files: stored,
    ...(preprocessing === undefined ? {} : { preprocessing }),
  };
}

/** What a server could not open is not published. */
async function assertUsable(how: ReadPreprocessing, file: string, inputs: OnnxModel['facts']['inputs']): Promise<void> {
  try {
    await Preprocessor.open({
      preprocessing: how.preprocessing,
      inputs,
      readFile: (name) => readFile(how.files.get(name)!),
    });
  } catch (error) {
    throw PreprocessError.is(error) ? new PublishError('PREPROCESSING_INVALID', file, error.message) : error;
  }
}

async function readEvaluation(
  file: string,
  files: OnnxModel['files'],
  published: ReadPreprocessing | undefined,
): Promise<EvaluationEvidence> {
  const report = await readReport(file);
  // The report has more than evidence: rows, confusions, distributions.
  const given = isRecord(report['evidence']) ? report['evidence'] : report;
  const refuse: RefuseField = (field, expected, got) => {
    throw new PublishError('EVALUATION_INVALID', file, `${field} must be ${expected}, got ${describeField(got)}`);
  };
  const value: unknown = given;
  checkEvaluation(value, 'evaluation', refuse);
  const covered = new Map(value.model.map(({ path, sha256 }) => [path, sha256]));
  for (const { path, sha256 } of files) {
    if (covered.get(path) === sha256) continue;
    throw new PublishError(
      'EVALUATION_MISMATCH',
      file,
      `is about ${covered.has(path) ? `a '${path}' with SHA-256 ${covered.get(path)}` : `a model without '${path}'`}, this one has ${sha256}: evaluate the file that is published`,
    );
  }
  if (!value.passed) {
    const failed = value.gates.find((gate) => !gate.passed)!;
    throw new PublishError(
      'EVALUATION_FAILED',
      file,
      `says that ${failed.metric} is ${failed.value}, and its gate asks for ${failed.bound === 'min' ? 'at least' : 'at most'} ${failed.limit}`,
    );
  }
  await assertMeasuredWith(published, value, file);
  const { dataset, preprocessing, task, metrics, speed, gates, passed, evaluatedAt, tools } = value;
  const { name, sha256, rows } = dataset;
  return {
    model: files.map((each) => ({ path: each.path, sha256: each.sha256 })),
    dataset: { name, sha256, rows },
    ...(preprocessing === undefined ? {} : { preprocessing: { sha256: preprocessing.sha256 } }),
    task,
    metrics,
    ...(speed === undefined ? {} : { speed }),
    gates,
    passed,
    evaluatedAt,
    tools,
  };
}

/** Users of the version send what its preprocessing takes: numbers that came about otherwise say nothing of what they get. */
async function assertMeasuredWith(
  published: ReadPreprocessing | undefined,
  { preprocessing }: EvaluationEvidence,
  file: string,
): Promise<void> {
  const expected = published === undefined ? undefined : await digestPreprocessing(published);
  const got = preprocessing?.sha256;
  if (expected === got) return;
  const refuse = (message: string): PublishError => new PublishError('EVALUATION_MISMATCH', file, message);
  if (expected === undefined) {
    throw refuse(
      `was measured with the preprocessing ${got}, and none is published: give --preprocessing the file that was evaluated with`,
    );
  }
  if (got === undefined) {
    throw refuse(
      'was not measured with the preprocessing that is published: evaluate rows as users have them (pictures, text, records; no tensors) with --preprocessing',
    );
  }
  throw refuse(
    `was measured with another preprocessing (${got}) than is published (${expected}): evaluate with the file that is published`,
  );
}

async function readReport(file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new PublishError('FILE_UNREADABLE', file, (error as Error).message);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch (error) {
    throw new PublishError('EVALUATION_INVALID', file, `must be JSON: ${(error as Error).message}`);
  }
  throw new PublishError('EVALUATION_INVALID', file, 'must be the report of slipway model evaluate, an object');
}

async function storedFile(name: string, place: string): Promise<StoredFile> {
  const content = await readFile(place);
  return { path: name, bytes: content.byteLength, sha256: createHash('sha256').update(content).digest('hex'), content };
}
