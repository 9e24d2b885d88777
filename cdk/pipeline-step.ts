import type { Duration } from 'aws-cdk-lib';
import { SOURCE_FOLDER, SpecError } from '../runtime/spec';
import { nearest } from '../runtime/spec/nearest';
import { STEP_COMMANDS } from './cli-commands';

export interface PipelineStepOptions {
  /** Longest time that it may take. @default Duration.hours(1) */
  readonly timeout?: Duration;
}

export interface PipelineCommandOptions extends PipelineStepOptions {
  /** Goes on when the command fails. @default false */
  readonly allowFailure?: boolean;
}

/** Files of these names lie beside the model. */
export interface PipelinePublishOptions extends PipelineStepOptions {
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
  readonly kind: 'command' | 'gate' | 'publish';
  readonly id: string;
  /** Of a publish: what follows place, name and version. */
  readonly args: readonly string[];
  readonly allowFailure: boolean;
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
   * Runs a command; when it fails, the run ends.
   * @param id names the step in the state machine: letters, digits, `-` and `_`.
   * @param args the words of the command, `['model', 'inspect', PipelineStep.source()]`. They are fixed at synthesis: nothing of
   * an event gets into them.
   * @throws SpecError PIPELINE_STEP_UNKNOWN for a command that is no step's, PIPELINE_STEPS_INVALID for an id or an argument.
   */
  static command(id: string, args: readonly string[], options: PipelineCommandOptions = {}): PipelineStep {
    assertCommand(id, args);
    return new PipelineStep('command', id, args, options);
  }

  /** Runs a command that judges the candidate: with another exit status than 0 nothing is published. As `command` otherwise. */
  static gate(id: string, args: readonly string[], options: PipelineStepOptions = {}): PipelineStep {
    assertCommand(id, args);
    return new PipelineStep('gate', id, args, options);
  }

  /** Publishes the candidate as the next version of the model. It is the last step of every pipeline. */
  static publish(options: PipelinePublishOptions = {}): PipelineStep {
    const { goldenFile, configFile, hooksFile, labelsFile, tolerances = [] } = options;
    const files = { golden: goldenFile, config: configFile, hooks: hooksFile, labels: labelsFile };
    const args = Object.entries(files).flatMap(([flag, file]) =>
      file === undefined ? [] : [`--${flag}`, PipelineStep.source(file)],
    );
    return new PipelineStep(
      'publish',
      'Publish',
      [...args, ...tolerances.map((each) => `--tolerance=${each}`)],
      options,
    );
  }

  readonly facts: PipelineStepFacts;

  private constructor(
    kind: PipelineStepFacts['kind'],
    id: string,
    args: readonly string[],
    { timeout, allowFailure = false }: PipelineCommandOptions,
  ) {
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,59}$/.test(id)) {
      throw new SpecError(
        'PIPELINE_STEPS_INVALID',
        id,
        "the id of a step must be 1 to 60 letters, digits, '-' and '_', a letter first",
      );
    }
    const evaluated = args.find((each) => each.startsWith('{%'));
    if (evaluated !== undefined) {
      throw new SpecError(
        'PIPELINE_STEPS_INVALID',
        id,
        `an argument must not begin with {%, which Step Functions would evaluate, got '${evaluated}'`,
      );
    }
    this.facts = { kind, id, args, allowFailure, ...(timeout === undefined ? {} : { timeout }) };
  }
}

function assertCommand(id: string, args: readonly string[]): void {
  const command = args.slice(0, 2).join(' ');
  if (STEP_COMMANDS.some((known) => known === command) && command !== 'model publish') return;
  const known = STEP_COMMANDS.filter((each) => each !== 'model publish');
  const what =
    command === 'model publish'
      ? 'publishing is PipelineStep.publish, which chooses the version'
      : `no step runs 'slipway ${command}', the nearest one is 'slipway ${nearest(command, known)}'`;
  throw new SpecError('PIPELINE_STEP_UNKNOWN', id, what);
}
