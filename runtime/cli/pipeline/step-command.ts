import path from 'node:path';
import { nearest } from '../../spec/nearest';
import { argumentField } from './pipeline-rules';
import { PipelineFileError, type PipelineFile, type PipelineFileStep } from './read-pipeline';

/** A step as the command line that it is, and what it leaves. */
export interface StepCommand {
  readonly step: PipelineFileStep;
  /** Where its files lie: history, report, what it printed. */
  readonly folder: string;
  /** What follows `slipway`. `VERSION` stands for the version that was published, known only then. */
  readonly argv: readonly string[];
  /** Where it publishes or promotes, which changes by that. @default - it does neither */
  readonly repository?: string;
  /** Absolute. @default - it leaves no model */
  readonly model?: string;
  /** The manifest of what it published. @default - it publishes nothing */
  readonly manifest?: string;
}

/** Stands in a command line until the step that publishes has chosen a version. */
export const VERSION = '<version>';

/**
 * Every step as a command line, each model handed on to the step that follows.
 * @param work folder for what steps leave, absolute
 * @throws PipelineFileError where a step takes what none before it gives
 */
export function stepCommands(
  pipeline: PipelineFile,
  work: string,
  repository = pipeline.repository,
): readonly StepCommand[] {
  const models = new Map<string, string>();
  let model = pipeline.source;
  let manifest: string | undefined;
  if (pipeline.source !== undefined) models.set('source', pipeline.source);
  const evaluations = new Map<string, Evaluated>();

  return pipeline.steps.map((step) => {
    const { verb, rule, command, fields, line } = step;
    const refuse = (what: string) => new PipelineFileError(`${pipeline.file}:${line}: ${what}`);
    const folder = path.join(work, step.name);
    const filled = {
      model,
      repository,
      name: pipeline.model,
      version: manifest === undefined ? undefined : VERSION,
    };
    const lacks = {
      model: `${verb} needs a model: write source: beside model:, or a step that makes one before it`,
      repository: `${verb} needs repository: beside model:, or --repository`,
      name: '',
      version: `${verb} needs a version: publish before it, or write version:`,
    };
    const resolve = (text: string) => referenced(text, model, models, refuse);

    const argv = ['model', verb];
    let subject: string | undefined;
    let place: string | undefined;
    for (const { name, optional } of command.arguments) {
      const given = fields.get(argumentField(name))?.texts[0];
      const fill = rule.fills[name];
      const value = given === undefined ? fill && filled[fill] : resolve(given);
      if (value === undefined && fill !== undefined) throw refuse(lacks[fill]);
      if (value === undefined && optional === true) continue;
      if (fill === 'model') subject = value;
      if (fill === 'repository') place = value;
      argv.push(asArgument(value!));
    }
    for (const { name, kind, texts } of fields.values()) {
      if (kind === 'flag') argv.push(`--${name}`);
      if (kind === 'text') argv.push(...texts.map((text) => `--${name}=${resolve(text)}`));
    }

    const output = path.join(folder, 'model');
    const made = rule.makes === undefined ? undefined : path.join(output, rule.makes);
    if (made !== undefined) argv.push(`--output=${rule.makesFolder === true ? output : made}`);
    if (rule.own.includes('report') && Object.hasOwn(command.options, 'report')) {
      argv.push(`--report=${path.join(folder, 'report.json')}`);
    }
    const preprocessing = fields.get('preprocessing')?.texts[0];
    if (verb === 'evaluate') evaluations.set(subject!, { report: path.join(folder, 'report.json'), preprocessing });
    if (verb === 'publish') {
      const evaluation = evaluations.get(subject!);
      if (evaluation === undefined && evaluations.size > 0 && !fields.has('evaluation')) {
        const [maker] = [...models].find(([, place]) => place === subject) ?? [subject!];
        throw refuse(
          `publish takes the model of ${maker}, which no evaluate before it looked at, so its manifest would have no evidence: ` +
            `evaluate it after ${maker}, or give evaluation:`,
        );
      }
      if (evaluation !== undefined && !fields.has('evaluation')) {
        // The manifest beside a source may say it as well, which is known only when it is read.
        const isSaid = evaluation.preprocessing !== undefined || subject !== pipeline.source;
        if (isSaid && evaluation.preprocessing !== preprocessing) {
          throw refuse(
            `publish has ${said(preprocessing)}, and its model is evaluated with ${said(evaluation.preprocessing)}: numbers are evidence of the one that they were measured with`,
          );
        }
        argv.push(`--evaluation=${evaluation.report}`);
      }
      const own = fields.get('manifest-file')?.texts[0];
      manifest = own === undefined ? path.join(folder, 'manifest.json') : path.resolve(pipeline.folder, own);
      if (own === undefined) argv.push(`--manifest-file=${manifest}`);
      argv.push(`--name=${pipeline.model}`);
    }
    if (made !== undefined) {
      if (rule.evidence !== undefined) {
        evaluations.set(made, { report: path.join(path.dirname(made), rule.evidence), preprocessing });
      }
      model = made;
      models.set(step.name, made);
    }
    return {
      step,
      folder,
      argv,
      ...(place === undefined ? {} : { repository: place }),
      ...(made === undefined ? {} : { model: made }),
      ...(verb === 'publish' ? { manifest: manifest! } : {}),
    };
  });
}

/** Where the evidence of a model will lie, and how rows became its inputs. */
interface Evaluated {
  readonly report: string;
  readonly preprocessing: string | undefined;
}

function said(preprocessing: string | undefined): string {
  return preprocessing === undefined ? 'no preprocessing' : `preprocessing ${preprocessing}`;
}

/** `$source`, `$model` and `$<step>` are models; anything else stands for itself. */
function referenced(
  text: string,
  current: string | undefined,
  models: ReadonlyMap<string, string>,
  refuse: (what: string) => Error,
): string {
  const name = /^\$([A-Za-z][A-Za-z0-9-]*)$/.exec(text)?.[1];
  if (name === undefined) return text;
  const known = new Map([...models, ...(current === undefined ? [] : [['model', current] as const])]);
  const place = known.get(name);
  if (place !== undefined) return place;
  throw refuse(
    known.size === 0
      ? `${text} is no model: there is none before this step`
      : `${text} is no model that is there before this step, the nearest one is $${nearest(name, [...known.keys()])}`,
  );
}

// A name that begins with a dash would be read as a flag.
function asArgument(text: string): string {
  return text.startsWith('-') ? `./${text}` : text;
}
