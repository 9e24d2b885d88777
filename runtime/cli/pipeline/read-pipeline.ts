import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type Pair } from 'yaml';
import { assertModelName } from '../../spec/model-repository';
import { nearest } from '../../spec/nearest';
import { CliError } from '../cli-error';
import type { Command, CommandEntry } from '../command';
import { argumentField, STEP_RULES, type StepRule } from './pipeline-rules';

/** One value of a step, as the file writes it. */
export interface StepField {
  readonly name: string;
  /** What the command takes it as. */
  readonly kind: 'argument' | 'text' | 'flag';
  readonly texts: readonly string[];
  readonly line: number;
}

export interface PipelineFileStep {
  /** The verb, with a number from the second of its kind on: `evaluate`, `evaluate-2`. */
  readonly name: string;
  readonly verb: string;
  readonly rule: StepRule;
  readonly command: Command;
  readonly fields: ReadonlyMap<string, StepField>;
  readonly line: number;
}

export interface PipelineFile {
  readonly file: string;
  /** Where steps run: what the file names lies relative to it. */
  readonly folder: string;
  readonly model: string;
  readonly source: string | undefined;
  readonly repository: string | undefined;
  readonly steps: readonly PipelineFileStep[];
}

/** A pipeline file that cannot be used. Exit status 3, as for other files. */
export class PipelineFileError extends CliError {
  override readonly exitCode = 3;
}

const TOP_FIELDS = ['model', 'source', 'repository', 'steps'];
const MAX_BYTES = 1024 * 1024;
const MAX_STEPS = 100;

/**
 * Reads a pipeline file and holds every step to the table of its command.
 * @param commands those that there are here
 * @throws PipelineFileError with file and line, what was found and what would work
 */
export async function readPipeline(file: string, commands: readonly CommandEntry[]): Promise<PipelineFile> {
  const lines = new LineCounter();
  const document = parseDocument(await readText(file), { lineCounter: lines, uniqueKeys: true });
  const reader = new Reader(file, lines, commands);
  const [problem] = document.errors;
  if (problem !== undefined) {
    throw reader.refuseAt(problem.linePos?.[0].line ?? 1, problem.message.split('\n')[0]!.replace(/ at line .*$/, ''));
  }
  return reader.read(document.contents);
}

async function readText(file: string): Promise<string> {
  try {
    if ((await stat(file)).size > MAX_BYTES) throw new Error(`has more than ${MAX_BYTES} bytes`);
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new PipelineFileError(`${file}: ${code === 'ENOENT' ? 'does not exist' : message}`);
  }
}

class Reader {
  readonly #counts = new Map<string, number>();

  constructor(
    private readonly file: string,
    private readonly lines: LineCounter,
    private readonly commands: readonly CommandEntry[],
  ) {}

  refuseAt(line: number, what: string): PipelineFileError {
    return new PipelineFileError(`${this.file}:${line}: ${what}`);
  }

  async read(contents: Node | null): Promise<PipelineFile> {
    if (!isMap(contents)) throw this.refuseAt(1, 'must have the fields model, source and steps');
    const fields = new Map<string, Node>();
    for (const pair of contents.items) {
      const name = this.keyOf(pair);
      if (!TOP_FIELDS.includes(name) && name !== '$schema') {
        throw this.refuse(pair.key, `no field '${name}', the nearest one is ${nearest(name, TOP_FIELDS)}`);
      }
      fields.set(name, pair.value as Node);
    }
    const model = this.textOf(fields.get('model') ?? contents, 'model');
    try {
      assertModelName(model, 'model');
    } catch (error) {
      throw this.refuse(fields.get('model'), (error as Error).message);
    }
    const optional = (name: string) => {
      const node = fields.get(name);
      return node === undefined ? undefined : this.textOf(node, name);
    };
    return {
      file: this.file,
      folder: path.dirname(path.resolve(this.file)),
      model,
      source: optional('source'),
      repository: optional('repository'),
      steps: await this.readSteps(fields.get('steps') ?? contents),
    };
  }

  private async readSteps(node: Node): Promise<readonly PipelineFileStep[]> {
    if (!isSeq(node) || node.items.length === 0) throw this.refuse(node, 'steps must be a list of one or more steps');
    if (node.items.length > MAX_STEPS) throw this.refuse(node, `steps must be at most ${MAX_STEPS}`);
    const steps: PipelineFileStep[] = [];
    for (const item of node.items) steps.push(await this.readStep(item as Node));
    return steps;
  }

  /** `- inspect`, or `- quantize: { calibration: rows.npz }`. */
  private async readStep(node: Node): Promise<PipelineFileStep> {
    const pair = isMap(node) ? (node.items[0] as Pair<Node, Node | null>) : undefined;
    if (isMap(node) ? node.items.length !== 1 : !isScalar(node)) {
      throw this.refuse(node, 'a step must be one command with its options, as in - quantize: { mode: dynamic }');
    }
    const verb = pair === undefined ? this.textOf(node, 'a step') : this.keyOf(pair);
    const rule = Object.hasOwn(STEP_RULES, verb) ? STEP_RULES[verb]! : undefined;
    if (rule === undefined) {
      throw this.refuse(node, `no step '${verb}', the nearest one is ${nearest(verb, Object.keys(STEP_RULES))}`);
    }
    const entry = this.commands.find(({ name }) => name === `model ${verb}`);
    if (entry === undefined) {
      const lacks = rule.python === true ? 'needs Python, which the server image does not have' : 'is not in the image';
      throw this.refuse(node, `step ${verb} ${lacks}: run it where the package is installed, and its result here`);
    }
    const command = await entry.load();
    const count = (this.#counts.get(verb) ?? 0) + 1;
    this.#counts.set(verb, count);
    const step = { name: count === 1 ? verb : `${verb}-${count}`, verb, rule, command, line: this.lineOf(node) };
    return { ...step, fields: this.readFields(step, pair?.value ?? undefined) };
  }

  private readFields(
    { verb, rule, command, line }: Omit<PipelineFileStep, 'fields'>,
    node: Node | undefined,
  ): ReadonlyMap<string, StepField> {
    const fields = new Map<string, StepField>();
    const isEmpty = node === undefined || (isScalar(node) && node.value === null);
    if (!isEmpty && !isMap(node)) throw this.refuse(node, `the options of ${verb} must be a map`);
    const known = knownFields(rule, command);
    for (const pair of isMap(node) ? node.items : []) {
      const name = this.keyOf(pair);
      if (rule.own.includes(name)) {
        throw this.refuse(pair.key, `--${name} of ${verb} is what the pipeline itself decides: leave it out`);
      }
      if (!known.has(name)) {
        throw this.refuse(
          pair.key,
          known.size === 0
            ? `${verb} has no options, got '${name}'`
            : `${verb} has no option '${name}', the nearest one is ${nearest(name, [...known.keys()])}`,
        );
      }
      const field = this.readField(name, known.get(name)!, pair.value as Node | null, pair.key);
      if (field !== undefined) fields.set(name, field);
    }
    for (const [name, { required }] of known) {
      if (required && !fields.has(name)) throw this.refuseAt(line, `${verb} needs '${name}'`);
    }
    if (rule.oneOf !== undefined && !rule.oneOf.some((name) => fields.has(name))) {
      throw this.refuseAt(line, `${verb} needs one of ${rule.oneOf.join(', ')}, by which it chooses a model`);
    }
    return fields;
  }

  private readField(name: string, known: KnownField, node: Node | null, key: unknown): StepField | undefined {
    const line = this.lineOf(key);
    if (known.kind === 'flag') {
      const value = isScalar(node) ? node.value : undefined;
      if (typeof value !== 'boolean') throw this.refuse(node ?? key, `${name} must be true or false`);
      return value ? { name, kind: 'flag', texts: [], line } : undefined;
    }
    if (isSeq(node) && !known.multiple) throw this.refuse(node, `${name} must be one value, not a list`);
    const texts = isSeq(node)
      ? node.items.map((item) => this.textOf(item as Node, name))
      : [this.textOf((node ?? key) as Node, name, node === null)];
    return { name, kind: known.kind, texts, line };
  }

  private textOf(node: Node, name: string, missing = false): string {
    if (!missing && isScalar(node)) {
      const { value, source } = node;
      if (typeof value === 'string' && value !== '') return value;
      // As it was written: 0.10 is not 0.1 where it is a version.
      if (typeof value === 'number') return source ?? String(value);
    }
    throw this.refuse(node, `${name} must be a text or a number`);
  }

  private keyOf(pair: Pair): string {
    return this.textOf(pair.key as Node, 'the name of a field');
  }

  private lineOf(node: unknown): number {
    const start = (node as Node | null | undefined)?.range?.[0];
    return start === undefined ? 1 : this.lines.linePos(start).line;
  }

  private refuse(node: unknown, what: string): PipelineFileError {
    return this.refuseAt(this.lineOf(node), what);
  }
}

export interface KnownField {
  readonly kind: StepField['kind'];
  readonly multiple: boolean;
  readonly required: boolean;
  readonly about: string;
}

/** What a step may say: arguments and flags of its command, less those that only the pipeline gives. */
export function knownFields(rule: StepRule, command: Command): ReadonlyMap<string, KnownField> {
  const fields = new Map<string, KnownField>();
  for (const { name, description, optional = false } of command.arguments) {
    const required = !optional && !Object.hasOwn(rule.fills, name);
    fields.set(argumentField(name), { kind: 'argument', multiple: false, required, about: description });
  }
  for (const [name, { type, multiple = false, required = false, description }] of Object.entries(command.options)) {
    if (rule.own.includes(name)) continue;
    fields.set(name, { kind: type === 'boolean' ? 'flag' : 'text', multiple, required, about: description });
  }
  return fields;
}
