import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { OnnxModel } from '../onnx/read-onnx-model';
import {
  checkConfiguration,
  executorsOf,
  readModelConfiguration,
  type ModelConfiguration,
} from '../spec/model-configuration';
import { LIMITS } from '../spec/model-configuration/limits';
import type { ExecutorCounts, ModelFacts, TensorSignature } from '../spec/model-facts';
import type { ModelManifest } from '../spec/model-manifest';
import {
  CONFIGURATION_FILES,
  HOOKS_FILE,
  MANIFEST_FILE,
  MODEL_FILE,
  SBOM_FILE,
  SIGNATURE_FILE,
} from '../spec/model-repository';
import { GOLDEN_FOLDER } from './golden-proof';
import type { StoredFile } from './model-store';
import { PublishError } from './publish-error';

export interface CompanionOptions {
  /** The model's configuration, in Triton's text format or as JSON. @default - none: the graph and a test run decide */
  readonly configFile?: string;
  /** An ES module that runs before and after the model, where the server has `SLIPWAY_HOOKS`. @default - none */
  readonly hooksFile?: string;
  /**
   * Names of classes, one per line: those of the output whose `label_filename` in the configuration names the file, else those
   * of `labelsOutput`.
   * @default - none
   */
  readonly labelsFile?: string;
  /** The output that the labels are of. @default - the configuration's, or the only one that they fit */
  readonly labelsOutput?: string;
}

export interface Companions {
  readonly files: readonly StoredFile[];
  /** What the configuration asks for, which a deployment has to have memory for. @default - it asks for nothing */
  readonly executors?: ExecutorCounts;
  /** Which output the labels are of, where no configuration says it. @default - none */
  readonly labels?: ModelManifest['labels'];
}

/**
 * The files that lie in a version's folder beside the model because its publisher says so, checked against each other and
 * the model: what a server would refuse is refused here.
 * @throws SpecError for a configuration that cannot be read or does not fit the model, PublishError CONFIGURATION_UNFIT,
 * LABELS_UNCLEAR, FILE_UNREADABLE, FILE_NAME_RESERVED
 */
export function readCompanions(
  model: Pick<OnnxModel, 'facts' | 'files'>,
  {
    name,
    source,
    configFile,
    hooksFile,
    labelsFile,
    labelsOutput,
    otherNames = [],
  }: CompanionOptions & { name: string; source: string; readonly otherNames?: readonly string[] },
): Companions {
  const config = configFile === undefined ? undefined : read(configFile);
  const text = config?.toString('utf8') ?? '';
  const configuration = configFile === undefined ? undefined : readModelConfiguration(text, configFile);
  const files: StoredFile[] = [];
  if (config !== undefined) files.push(stored(/^\s*\{/.test(text) ? 'config.json' : 'config.pbtxt', config));
  if (hooksFile !== undefined) files.push(stored(configuration?.hooks ?? HOOKS_FILE, read(hooksFile)));
  if (labelsFile !== undefined) files.push(stored(path.basename(labelsFile), read(labelsFile)));
  const names = files.map((file) => file.path);
  if (configuration !== undefined) {
    assertPublishable(configuration, name, configFile!, new Set(names));
    checkConfiguration(configuration, model.facts, configFile);
  }
  const labelNames = configuration?.outputs.map(({ labelFilename }) => labelFilename) ?? [];
  const isConfigured = labelsFile !== undefined && labelNames.includes(path.basename(labelsFile));
  const labels =
    labelsFile === undefined || (isConfigured && labelsOutput === undefined)
      ? undefined
      : { [labelledOutput(model.facts, labelsFile, labelsOutput)]: { file: path.basename(labelsFile) } };
  assertNoReservedNames(model, source, [...names, ...otherNames]);
  const isTaken = (data: string): boolean => [...CONFIGURATION_FILES, HOOKS_FILE].includes(data);
  const taken = [...(labelsFile === undefined ? [] : [path.basename(labelsFile)]), ...otherNames].find(isTaken);
  if (taken !== undefined)
    throw new PublishError(
      'FILE_NAME_RESERVED',
      source,
      `'${taken}' means something else to a server: give the file another name`,
    );
  const executors = configuration === undefined ? undefined : executorsOf(configuration);
  return {
    files,
    ...(executors === undefined ? {} : { executors }),
    ...(labels === undefined ? {} : { labels }),
  };
}

/** @throws PublishError LABELS_UNCLEAR where it is not sure which output has so many classes. */
function labelledOutput({ outputs }: Pick<ModelFacts, 'outputs'>, file: string, given: string | undefined): string {
  const lines = read(file).toString('utf8').trimEnd().split(/\r?\n/).length;
  const unclear = (message: string): PublishError => new PublishError('LABELS_UNCLEAR', file, message);
  // Scores have an element for each class, and indices one for each row; a free dimension may be anything.
  const fits = ({ datatype, shape }: TensorSignature): boolean => {
    const last = shape.at(-1);
    const isIndex = /^U?INT/.test(datatype) && (shape.length === 1 || last === 1);
    return datatype !== 'BYTES' && (isIndex || typeof last === 'string' || last === lines);
  };
  const names = outputs.map(({ name }) => name).join(', ');
  if (given !== undefined) {
    const output = outputs.find(({ name }) => name === given);
    if (output === undefined) throw unclear(`the model has no output '${given}', it has ${names}`);
    if (fits(output)) return given;
    throw unclear(`has ${lines} names, and output '${given}' is ${output.datatype} [${output.shape.join(', ')}]`);
  }
  const exact = outputs.filter(
    ({ datatype, shape }) => datatype !== 'BYTES' && shape.length > 1 && shape.at(-1) === lines,
  );
  const candidates = exact.length > 0 ? exact : outputs.filter(fits);
  const [only, another] = candidates;
  if (only !== undefined && another === undefined) return only.name;
  throw unclear(
    `has ${lines} names, and ${only === undefined ? 'no output has' : 'several outputs may have'} so many classes: say which with --labels <output>=<file> (${names})`,
  );
}

/** @throws PublishError CONFIGURATION_UNFIT for what is not the affair of one version, and for files that are not given. */
function assertPublishable(
  configuration: ModelConfiguration,
  name: string,
  file: string,
  given: ReadonlySet<string>,
): void {
  const { outputs, warmup, hooks, versionPolicy, versionLabels, weights, defaultModelFilename } = configuration;
  if (configuration.name !== undefined && configuration.name !== name) {
    throw unfit(file, `name must be the model's, '${name}', or left out; got '${configuration.name}'`);
  }
  const { all: executors } = executorsOf(configuration) ?? { all: 1 };
  if (executors > LIMITS.executorsOfModel) {
    throw unfit(file, `instance_group asks for ${executors} executors, at most ${LIMITS.executorsOfModel} are started`);
  }
  if (configuration.ensemble !== undefined) {
    throw unfit(file, 'an ensemble has no model file to publish; write its configuration into the model repository');
  }
  if (versionPolicy !== undefined || versionLabels.size + weights.size > 0) {
    const fields = 'version_policy, version_labels and weights';
    throw unfit(file, `${fields} belong to all versions: leave them out here, and write them beside the versions`);
  }
  if (defaultModelFilename !== undefined && defaultModelFilename !== MODEL_FILE) {
    throw unfit(file, `default_model_filename must be '${MODEL_FILE}', got '${defaultModelFilename}'`);
  }
  if (hooks !== undefined && !given.has(hooks)) throw unfit(file, `names hooks '${hooks}': give them with --hooks`);
  const labels = outputs.find(({ labelFilename }) => labelFilename !== undefined && !given.has(labelFilename));
  if (labels !== undefined) {
    throw unfit(file, `names label file '${labels.labelFilename}': give a file of this name with --labels`);
  }
  const sample = warmup.find(({ inputs }) => [...inputs.values()].some(({ data }) => data.kind === 'file'));
  if (sample !== undefined) {
    throw unfit(
      file,
      `model_warmup '${sample.name}' reads a file, and files of samples are not published; use --golden`,
    );
  }
}

function assertNoReservedNames({ files }: Pick<OnnxModel, 'files'>, source: string, given: readonly string[]): void {
  const twice = given.find((each, i) =>
    [MODEL_FILE, MANIFEST_FILE, SIGNATURE_FILE, SBOM_FILE, GOLDEN_FOLDER, ...given.slice(0, i)].includes(each),
  );
  if (twice !== undefined) {
    throw new PublishError('FILE_NAME_RESERVED', source, `two files of the version would be called '${twice}'`);
  }
  const reserved = new Set<string>([...CONFIGURATION_FILES, HOOKS_FILE, SIGNATURE_FILE, SBOM_FILE, ...given]);
  const taken = files.find((file) => reserved.has(file.path) || file.path.split('/')[0] === GOLDEN_FOLDER);
  if (taken !== undefined) {
    const what = reserved.has(taken.path) ? `'${taken.path}' is another file of the version` : WHERE_THE_PROOF_GOES;
    throw new PublishError(
      'FILE_NAME_RESERVED',
      source,
      `keeps weights in '${taken.path}', and ${what}: export it under another name`,
    );
  }
}

const WHERE_THE_PROOF_GOES = `'${GOLDEN_FOLDER}/' is where the golden proof goes`;

function stored(name: string, content: Buffer): StoredFile {
  return {
    path: name,
    bytes: content.byteLength,
    sha256: createHash('sha256').update(content).digest('hex'),
    content,
  };
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new PublishError('FILE_UNREADABLE', file, (error as Error).message);
  }
}

function unfit(file: string, message: string): PublishError {
  return new PublishError('CONFIGURATION_UNFIT', file, message);
}
