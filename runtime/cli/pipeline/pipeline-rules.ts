/** What the pipeline itself puts in place of an argument: the model of the step before, and what the file says for all steps. */
export type FilledBy = 'model' | 'repository' | 'name' | 'version';

/** How a command of `slipway model` becomes a step. Its flags are those of the command's own table. */
export interface StepRule {
  /** Arguments that the file need not write, by name. */
  readonly fills: Readonly<Record<string, FilledBy>>;
  /** Name of the model that it leaves, for the steps that follow. @default - it leaves none */
  readonly makes?: string;
  /** Whether `--output` names a folder, in which the model lies. @default false */
  readonly makesFolder?: true;
  /** File beside the model that it makes, which `publish` takes as evidence of it. @default - it leaves none */
  readonly evidence?: string;
  /** Flags of which the file must give one or more: without them the step leaves no model. @default - none */
  readonly oneOf?: readonly string[];
  /** Whose ended run it goes on with: one of the same options and files, or any. @default - it begins anew */
  readonly resumes?: 'same' | 'any';
  /** Flags that only the pipeline gives. */
  readonly own: readonly string[];
  /** Whether Python does the work, which the server image does not have. @default false */
  readonly python?: true;
  /** Whether it is run although nothing changed: somebody else may have changed what it says. @default false */
  readonly always?: true;
}

const MADE = ['output', 'overwrite', 'json', 'report'];
const CHANGE = { fills: { file: 'model' }, makes: 'model.onnx', own: MADE } as const satisfies StepRule;

/**
 * Every command that a pipeline may run, by the word after `slipway model`. Going back is none of them: it is a decision of
 * its own, and run twice it goes back twice.
 */
export const STEP_RULES: Readonly<Record<string, StepRule>> = {
  convert: { ...CHANGE, fills: { source: 'model' }, python: true },
  distil: {
    ...CHANGE,
    fills: { teacher: 'model' },
    makes: 'student.onnx',
    makesFolder: true,
    resumes: 'same',
    python: true,
  },
  optimize: { ...CHANGE, python: true },
  quantize: { ...CHANGE, python: true },
  search: {
    fills: { model: 'model' },
    makes: 'chosen/model.onnx',
    makesFolder: true,
    evidence: 'evaluation.json',
    oneOf: ['max-accuracy-drop', 'max-latency', 'max-size'],
    resumes: 'any',
    own: ['output', 'json'],
    python: true,
  },
  prune: CHANGE,
  sparsify: CHANGE,
  cluster: CHANGE,
  compile: { ...CHANGE, makesFolder: true },
  inspect: { fills: { file: 'model' }, own: [] },
  evaluate: { fills: { model: 'model' }, own: ['json', 'report'] },
  publish: { fills: { file: 'model', 'model repository': 'repository' }, own: ['name', 'json'] },
  promote: {
    fills: { 'model repository': 'repository', model: 'name', version: 'version' },
    own: ['json'],
    always: true,
  },
};

/** How a pipeline file writes an argument: `model repository` is `model-repository`. */
export function argumentField(name: string): string {
  return name.replaceAll(' ', '-');
}
