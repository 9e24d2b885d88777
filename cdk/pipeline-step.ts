import type { Duration } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { SOURCE_FOLDER, SpecError } from '../runtime/spec';
import { RESULTS_FOLDER } from '../runtime/spec/endpoints';
import { nearest } from '../runtime/spec/nearest';
import { PYTHON_COMMANDS, STEP_COMMANDS } from './cli-commands';

export interface PipelineStepOptions {
  /** Longest time that it may take. @default Duration.hours(1) */
  readonly timeout?: Duration;
}

export interface PipelineCommandOptions extends PipelineStepOptions {
  /** Goes on when the command fails. @default false */
  readonly allowFailure?: boolean;
}

/** Files of these names lie beside the candidate's model. */
export interface PipelinePublishOptions extends PipelineStepOptions {
  /** The model: the candidate's own, or what an earlier step left, as `PipelineStep.result` says it. @default - the candidate's */
  readonly model?: string;
  /**
   * The report of an evaluation of this very model, as `PipelineStep.result` says it: the evidence in the manifest.
   * @default - that of the last step that evaluates the model; none where no step does
   */
  readonly evaluation?: string;
  /** How pictures, text or records become inputs, in JSON or YAML. @default - users send tensors */
  readonly preprocessingFile?: string;
  /** SPDX licence expression, such as `Apache-2.0`. @default - none */
  readonly licence?: string;
  /** Leaves a bill of materials beside the model. @default false */
  readonly sbom?: boolean;
  /** Signs the manifest: a key for signatures on P-256 (`ECC_NIST_P256`), which the task may then use. @default - it is not signed */
  readonly signKey?: kms.IKey;
  /** Input of the golden proof. @default - made from the model's signature */
  readonly goldenFile?: string;
  /** The model's configuration, `config.pbtxt` or JSON. @default - the graph decides */
  readonly configFile?: string;
  /** An ES module that runs before and after the model, where servers allow that: whoever writes candidates writes it. @default - none */
  readonly hooksFile?: string;
  /** Names of classes. @default - none */
  readonly labelsFile?: string;
  /** `<output>=<rule>`: how closely replicas must repeat an output. @default - by datatype */
  readonly tolerances?: readonly string[];
}

/** What a step does, for the state machine. */
export interface PipelineStepFacts {
  readonly kind: 'command' | 'gate' | 'publish' | 'promote';
  readonly id: string;
  /** Of a publish: what follows place, name and version. Of a promotion: the label. */
  readonly args: readonly string[];
  readonly allowFailure: boolean;
  /** Of a step that evaluates a model: which, and where its report is. @default - it evaluates none */
  readonly evaluates?: { readonly model: string; readonly report: string };
  /** Of a publish: which model. @default - the candidate's */
  readonly publishes?: string;
  readonly signKey?: kms.IKey;
  readonly timeout?: Duration;
}

/** One task of a pipeline: a command of `slipway` on the server image, with the candidate's files below `/tmp/source`. */
export class PipelineStep {
  /**
   * Where a step finds a file of the candidate.
   * @param file its name. The model's is `model.onnx`, unless the pipeline's source says otherwise.
   */
  static source(file = 'model.onnx'): string {
    return `${SOURCE_FOLDER}/${file}`;
  }

  /**
   * Where a step finds what an earlier one left, and where a step leaves what later ones need: everything in the folder of its own
   * id is handed on, through the bucket of the model.
   * @param id of the step that leaves it
   * @param file its path in that step's folder: `model.onnx`. The report of `model evaluate` is `report.json` unless its
   * `--report` says otherwise, and `model pipeline` leaves its work there unless its `--work` does. @default - the folder itself
   */
  static result(id: string, file?: string): string {
    assertId(id);
    if (file === undefined) return `${RESULTS_FOLDER}/${id}`;
    if (file.split('/').every((part) => /^[A-Za-z0-9_.-]+$/.test(part) && !/^\.+$/.test(part))) {
      return `${RESULTS_FOLDER}/${id}/${file}`;
    }
    throw new SpecError(
      'PIPELINE_STEPS_INVALID',
      id,
      `the path of a result must be names of letters, digits, '.', '_' and '-' with slashes between, got '${file}'`,
    );
  }

  /**
   * Runs a command; when it fails, the run ends.
   * @param id names the step in the state machine: letters, digits, `-` and `_`.
   * @param args the words of the command, `['model', 'inspect', PipelineStep.source()]`. They are fixed at synthesis: nothing of
   * an event gets into them.
   * @throws SpecError PIPELINE_STEP_UNKNOWN for a command that is no step's or needs Python, PIPELINE_STEPS_INVALID for an id or
   * an argument.
   */
  static command(id: string, args: readonly string[], options: PipelineCommandOptions = {}): PipelineStep {
    return new PipelineStep('command', id, commandOf(id, args), options);
  }

  /** Runs a command that judges the candidate: with another exit status than 0 nothing is published. As `command` otherwise. */
  static gate(id: string, args: readonly string[], options: PipelineStepOptions = {}): PipelineStep {
    return new PipelineStep('gate', id, commandOf(id, args), options);
  }

  /** Publishes the candidate, or what an earlier step made of it, as the next version of the model. Every pipeline has one. */
  static publish(options: PipelinePublishOptions = {}): PipelineStep {
    const { goldenFile, configFile, hooksFile, labelsFile, preprocessingFile, tolerances = [] } = options;
    const { model, evaluation, licence, sbom = false, signKey } = options;
    const files = {
      golden: goldenFile,
      config: configFile,
      hooks: hooksFile,
      labels: labelsFile,
      preprocessing: preprocessingFile,
    };
    const args = [
      ...Object.entries(files).flatMap(([flag, file]) =>
        file === undefined ? [] : [`--${flag}`, PipelineStep.source(file)],
      ),
      ...(evaluation === undefined ? [] : [`--evaluation=${evaluation}`]),
      ...(licence === undefined ? [] : [`--licence=${licence}`]),
      ...(sbom ? ['--sbom'] : []),
      ...(signKey === undefined ? [] : [`--sign-key=awskms:///${signKey.keyArn}`]),
      ...tolerances.map((each) => `--tolerance=${each}`),
    ];
    return new PipelineStep('publish', 'Publish', args, options, {
      ...(model === undefined ? {} : { publishes: model }),
      ...(signKey === undefined ? {} : { signKey }),
    });
  }

  /**
   * Points a label of the model repository to the version, once it has been rolled out. A rollout that was rolled back leaves the label
   * where it was, and so does one that a newer version has overtaken. It follows publishing.
   * @param label `production`, `stable`; servers that were told labels follow it, deployments of the CDK do not
   */
  static promote(label: string, options: PipelineStepOptions = {}): PipelineStep {
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,50}$/.test(label)) {
      throw new SpecError(
        'PIPELINE_STEPS_INVALID',
        'label',
        `must be 1 to 51 letters, digits, '-' and '_', a letter first, got '${label}'`,
      );
    }
    return new PipelineStep('promote', `Promote-${label}`, [label], options);
  }

  readonly facts: PipelineStepFacts;

  private constructor(
    kind: PipelineStepFacts['kind'],
    id: string,
    args: readonly string[],
    { timeout, allowFailure = false }: PipelineCommandOptions,
    more: Pick<PipelineStepFacts, 'publishes' | 'signKey'> = {},
  ) {
    assertId(id);
    const evaluated = args.find((each) => each.startsWith('{%'));
    if (evaluated !== undefined) {
      throw new SpecError(
        'PIPELINE_STEPS_INVALID',
        id,
        `an argument must not begin with {%, which Step Functions would evaluate, got '${evaluated}'`,
      );
    }
    const evaluates = kind === 'publish' || kind === 'promote' ? undefined : evaluationOf(args);
    this.facts = {
      kind,
      id,
      args,
      allowFailure,
      ...(timeout === undefined ? {} : { timeout }),
      ...(evaluates === undefined ? {} : { evaluates }),
      ...more,
    };
  }
}

function assertId(id: string): void {
  if (/^[A-Za-z][A-Za-z0-9_-]{0,59}$/.test(id)) return;
  throw new SpecError(
    'PIPELINE_STEPS_INVALID',
    id,
    "the id of a step must be 1 to 60 letters, digits, '-' and '_', a letter first",
  );
}

/** Where a command leaves what later steps need, unless its words say it: flag and path in the folder of the step. */
const LEFT_BY: Readonly<Record<string, readonly [flag: string, file?: string]>> = {
  'model evaluate': ['report', 'report.json'],
  'model pipeline': ['work'],
};

function commandOf(id: string, args: readonly string[]): readonly string[] {
  const command = args.slice(0, 2).join(' ');
  assertId(id);
  assertCommand(id, command);
  const [flag, file] = LEFT_BY[command] ?? [];
  return flag === undefined || valueOf(args, flag) !== undefined
    ? args
    : [...args, `--${flag}=${PipelineStep.result(id, file)}`];
}

function assertCommand(id: string, command: string): void {
  if (STEP_COMMANDS.some((known) => known === command)) return;
  const own: Readonly<Record<string, string>> = {
    'model publish': 'publishing is PipelineStep.publish, which chooses the version',
    'model promote': 'promoting is PipelineStep.promote, which knows the version',
    'model rollback': 'a rollout that fails is rolled back by CloudFormation, and its label stays where it was',
  };
  const needsPython = PYTHON_COMMANDS.some((each) => each === command);
  throw new SpecError(
    'PIPELINE_STEP_UNKNOWN',
    id,
    own[command] ??
      (needsPython
        ? `'slipway ${command}' needs Python, which the server image does not have: run it where the package is installed, and let its result be the candidate`
        : `no step runs 'slipway ${command}', the nearest one is 'slipway ${nearest(command, STEP_COMMANDS)}'`),
  );
}

/** Which model `model evaluate` judges: its first word that is neither a flag nor the value of one comes right behind it. */
function evaluationOf(args: readonly string[]): PipelineStepFacts['evaluates'] {
  const [, verb, model] = args;
  const report = valueOf(args, 'report');
  if (verb !== 'evaluate' || model === undefined || model.startsWith('-') || report === undefined) return undefined;
  return { model, report };
}

/** `--flag=value`, or `--flag value`. */
function valueOf(args: readonly string[], flag: string): string | undefined {
  const joined = args.find((each) => each.startsWith(`--${flag}=`));
  if (joined !== undefined) return joined.slice(flag.length + 3);
  const at = args.indexOf(`--${flag}`);
  return at < 0 ? undefined : args[at + 1];
}
