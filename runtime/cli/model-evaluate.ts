import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { BoxFormat } from '../model/data/read-labels';
import type { EndpointProtocol } from '../model/evaluate/endpoint/open-endpoint';
import type { EvaluatedModel, EvaluationOptions } from '../model/evaluate/evaluate-models';
import type { EvaluationReport } from '../model/evaluate/evaluation-report';
import type { EvaluationTask, ScoreKind } from '../model/evaluate/task-evaluator';
import { numberOption, PREPROCESSING_OPTION } from './change-options';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments, Terminal } from './command';
import { parseBytes, parseGates, parseMilliseconds, parseShare } from './evaluation-gates';
import { formatTable } from './text-table';

/** Classes, mistakes and the like that fit on a screen; the report has all. */
const MAX_SHOWN = 10;
const MAX_SPEED_SECONDS = 3_600;

/** `slipway model evaluate`: what a model gets right on labelled rows, how fast it is, and whether that is enough. */
export const modelEvaluate: Command = {
  arguments: [
    {
      name: 'model',
      description: 'an ONNX file, the folder of a published version, or the URL of a running endpoint',
    },
  ],
  options: {
    data: {
      type: 'string',
      value: 'path',
      required: true,
      description: 'labelled rows: .npz, .csv, .jsonl, or a folder with one folder of pictures for each class',
    },
    task: {
      type: 'string',
      value: 'task',
      required: true,
      description: 'classification, multilabel, regression, detection, embedding or similarity',
    },
    compare: {
      type: 'string',
      value: 'model',
      multiple: true,
      description: 'another file, folder or URL; the first is the reference that the others are held against',
    },
    labels: {
      type: 'string',
      value: 'file',
      description: "names of the classes, one per line or a JSON list (the manifest's)",
    },
    'label-column': {
      type: 'string',
      value: 'name',
      multiple: true,
      description: 'column or array of the labels (label, y, target …)',
    },
    columns: {
      type: 'string',
      value: 'input=a,b,c',
      multiple: true,
      description: 'CSV columns of an input (by their names)',
    },
    ...PREPROCESSING_OPTION,
    output: {
      type: 'string',
      value: 'role=name',
      multiple: true,
      description: 'an output of the model: scores, values, vectors, boxes, classes or count (what looks like it)',
    },
    scores: { type: 'string', value: 'kind', description: 'probabilities or logits (by their looks)' },
    threshold: {
      type: 'string',
      value: 'share',
      description: 'multilabel: from which probability on a class is said (0.5)',
    },
    'top-k': { type: 'string', value: 'k,…', description: 'ranks that count as found, beside the first (5)' },
    'box-format': { type: 'string', value: 'format', description: "the model's boxes: xyxy, xywh or cxcywh (xyxy)" },
    'label-box-format': { type: 'string', value: 'format', description: "the labels' boxes (xyxy)" },
    limit: { type: 'string', value: 'rows', description: 'read no more rows than these (all)' },
    'batch-size': { type: 'string', value: 'rows', description: 'rows of one run (32)' },
    'speed-batches': { type: 'string', value: 'rows,…', description: 'batch sizes that are timed (1,8,32)' },
    'speed-seconds': { type: 'string', value: 'seconds', description: 'time for each model and batch size (2)' },
    'no-speed': { type: 'boolean', description: 'do not measure speed' },
    threads: { type: 'string', value: 'number', description: 'threads of one run (all cores)' },
    'min-accuracy': { type: 'string', value: 'share', description: 'gate: least accuracy, as in 98% or 0.98' },
    'max-drop': {
      type: 'string',
      value: 'share',
      description: 'gate: how much worse than the reference it may be, as in 1%',
    },
    'min-agreement': {
      type: 'string',
      value: 'share',
      description: 'gate: least share of rows of which the reference says the same',
    },
    'max-p99': {
      type: 'string',
      value: 'time',
      description: 'gate: largest 99th percentile of the smallest batch, as in 5ms',
    },
    'max-size': { type: 'string', value: 'bytes', description: 'gate: largest size of all files, as in 20MB or 19MiB' },
    min: {
      type: 'string',
      value: 'metric=number',
      multiple: true,
      description: 'gate: least value of any metric in the report',
    },
    max: {
      type: 'string',
      value: 'metric=number',
      multiple: true,
      description: 'gate: largest value of any metric in the report',
    },
    protocol: {
      type: 'string',
      value: 'name',
      description:
        'how endpoints are asked: v2, v2-binary, grpc, tensorflow-serving, kserve-v1, sagemaker, vertex or predict (v2-binary)',
    },
    'model-name': { type: 'string', value: 'name', description: 'the model of an endpoint (what its URL names)' },
    'model-version': { type: 'string', value: 'version', description: 'its version (what its URL names)' },
    signature: {
      type: 'string',
      value: 'file',
      description: 'the ONNX file of an endpoint that does not tell its inputs',
    },
    header: {
      type: 'string',
      value: 'name: value',
      multiple: true,
      description: 'send this with every request, for keys and tokens',
    },
    json: { type: 'boolean', description: 'print the report as JSON' },
    report: { type: 'string', value: 'file', description: 'write the report as JSON there, for slipway model publish' },
    html: { type: 'string', value: 'file', description: 'write a page with confusion matrix and calibration there' },
    overwrite: { type: 'boolean', description: 'replace a report or page that is there' },
  },
  details:
    'accuracy = correct ÷ total × 100 %; compression = (original − compressed) ÷ original × 100; accuracy ÷ speed = main metric in % ÷ median milliseconds of the smallest batch. ' +
    'Exit status 4 when a gate says no; the report is written all the same.',
  run: async (given, terminal) => {
    const { assertGatesPassed } = await import('../model/evaluate/gates.js');
    const report = await withOutputs(given, () => evaluate(given, terminal));
    terminal.out(given.flag('json') ? JSON.stringify(report, undefined, 2) : await render(report, terminal.width));
    assertGatesPassed(report.gates, given.argument('model'));
  },
};

/** Whatever cannot be written is refused before the model is asked anything. */
async function withOutputs(given: ParsedArguments, make: () => Promise<EvaluationReport>): Promise<EvaluationReport> {
  const { writeOutput } = await import('../model/write-output.js');
  const overwrite = given.flag('overwrite');
  const writing =
    (
      file: string | undefined,
      write: () => Promise<EvaluationReport>,
      contentOf: (report: EvaluationReport) => Promise<string>,
    ) =>
    (): Promise<EvaluationReport> =>
      file === undefined
        ? write()
        : writeOutput(file, { overwrite }, async (folder) => {
            const report = await write();
            await writeFile(path.join(folder, path.basename(file)), await contentOf(report));
            return report;
          });
  const json = (report: EvaluationReport) => Promise.resolve(`${JSON.stringify(report, undefined, 2)}\n`);
  const page = async (report: EvaluationReport) =>
    (await import('../model/evaluate/evaluation-page.js')).evaluationPage(report);
  return writing(given.text('html'), writing(given.text('report'), make, json), page)();
}

async function evaluate(given: ParsedArguments, terminal: Terminal): Promise<EvaluationReport> {
  const { evaluateModels } = await import('../model/evaluate/evaluate-models.js');
  const options = await optionsOf(given, terminal);
  const models: EvaluatedModel[] = [];
  try {
    for (const place of [given.argument('model'), ...given.texts('compare')]) {
      const opened = await openModel(place, given);
      const isTaken = models.some(({ name }) => name === opened.name);
      models.push(isTaken ? { ...opened, name: `${opened.name}, ${place}` } : opened);
    }
    const [subject, ...others] = models as [EvaluatedModel, ...EvaluatedModel[]];
    return await evaluateModels([await withPreprocessing(subject, given), ...others], options);
  } finally {
    for (const { model } of models) await model.close();
  }
}

async function openModel(place: string, given: ParsedArguments): Promise<EvaluatedModel> {
  if (!/^https?:\/\//i.test(place)) {
    const { openEvaluatedFile } = await import('../model/evaluate/open-evaluated-file.js');
    return openEvaluatedFile(place, { threads: numberOf(given, 'threads') });
  }
  const { ENDPOINT_PROTOCOLS, openEndpoint } = await import('../model/evaluate/endpoint/open-endpoint.js');
  const { readOnnxModel } = await import('../onnx/read-onnx-model.js');
  const signature = given.text('signature');
  return openEndpoint({
    url: place,
    protocol: oneOf<EndpointProtocol>(given, 'protocol', ENDPOINT_PROTOCOLS),
    model: given.text('model-name'),
    version: given.text('model-version'),
    headers: Object.fromEntries(given.texts('header').map(parseHeader)),
    signature: signature === undefined ? undefined : readOnnxModel(signature).facts,
  });
}

async function withPreprocessing(subject: EvaluatedModel, given: ParsedArguments): Promise<EvaluatedModel> {
  const file = given.text('preprocessing');
  if (file === undefined) return subject;
  const { readPreprocessingFile } = await import('../model/preprocessing-file.js');
  return { ...subject, preprocessing: await readPreprocessingFile(file, subject.model) };
}

async function optionsOf(given: ParsedArguments, terminal: Terminal): Promise<EvaluationOptions> {
  const { EVALUATION_TASKS } = await import('../model/evaluate/task-evaluator.js');
  const { readClassNames } = await import('../model/data/class-names.js');
  const labels = given.text('labels');
  const formats = ['xyxy', 'xywh', 'cxcywh'] as const;
  const threshold = given.text('threshold');
  const labelNames = given.texts('label-column');
  return {
    data: given.text('data')!,
    task: oneOf<EvaluationTask>(given, 'task', EVALUATION_TASKS)!,
    classNames: labels === undefined ? undefined : await readClassNames(labels),
    outputs: Object.fromEntries(given.texts('output').map((text) => parsePair(text, 'output'))),
    scores: oneOf<ScoreKind>(given, 'scores', ['probabilities', 'logits']),
    topK: numbersOf(given, 'top-k'),
    threshold: threshold === undefined ? undefined : parseShare(threshold, 'threshold'),
    boxFormat: oneOf<BoxFormat>(given, 'box-format', formats),
    labelBoxFormat: oneOf<BoxFormat>(given, 'label-box-format', formats),
    columns: columnsOf(given),
    labelNames: labelNames.length === 0 ? undefined : labelNames,
    batchSize: numberOf(given, 'batch-size'),
    maxRows: numberOf(given, 'limit'),
    speed: given.flag('no-speed')
      ? false
      : { batchSizes: numbersOf(given, 'speed-batches'), seconds: secondsOf(given) },
    gates: gatesOf(given),
    onProgress: (line) => terminal.err(line),
  };
}

function gatesOf(given: ParsedArguments): EvaluationOptions['gates'] {
  const gate = (
    option: string,
    metric: string,
    bound: 'min' | 'max',
    parse: (text: string, option: string) => number,
  ) => {
    const text = given.text(option);
    return text === undefined ? [] : [{ metric, bound, limit: parse(text, option) }];
  };
  return [
    ...gate('min-accuracy', 'accuracy', 'min', parseShare),
    ...gate('max-drop', 'drop', 'max', parseShare),
    ...gate('min-agreement', 'agreement', 'min', parseShare),
    ...gate('max-p99', 'p99Ms', 'max', parseMilliseconds),
    ...gate('max-size', 'fileBytes', 'max', parseBytes),
    ...parseGates(given.texts('min'), 'min'),
    ...parseGates(given.texts('max'), 'max'),
  ];
}

async function render(report: EvaluationReport, width: number): Promise<string> {
  const { classTable, mistakeTable, modelTable, speedTable } = await import('../model/evaluate/render-evaluation.js');
  const { dataset, preprocessing, task, gates } = report;
  const prepared = preprocessing === undefined ? '' : `, preprocessing sha256 ${preprocessing.sha256.slice(0, 12)}…`;
  const part = (title: string, rows: readonly (readonly string[])[] | undefined): string[] => {
    if (rows === undefined) return [];
    const rest = rows.length - 1 - MAX_SHOWN;
    const shown = formatTable(
      rows.slice(0, MAX_SHOWN + 1).map(([first, ...cells]) => [`  ${first!}`, ...cells]),
      width,
    );
    return ['', title, shown, ...(rest > 0 ? [`  and ${rest} more; --report and --html have all`] : [])];
  };
  return [
    `${task} on ${dataset.name}, ${dataset.rows} rows${prepared}`,
    formatTable(
      modelTable(report).map(([first, ...cells]) => [`  ${first!}`, ...cells]),
      width,
    ),
    ...part('most frequent mistakes', mistakeTable(report)),
    ...part('classes, worst first', classTable(report)),
    ...part('speed', speedTable(report)),
    ...(gates.length === 0 ? [] : ['', 'gates']),
    ...gates.map(
      ({ metric, bound, limit, value, passed }) =>
        `  ${passed ? 'passed' : 'FAILED'}  ${metric} ${bound === 'min' ? '≥' : '≤'} ${limit}: ${value}`,
    ),
  ].join('\n');
}

function oneOf<T extends string>(given: ParsedArguments, option: string, choices: readonly T[]): T | undefined {
  const text = given.text(option);
  const choice = choices.find((each) => each === text);
  if (text === undefined || choice !== undefined) return choice;
  throw new UsageError(`slipway model evaluate: --${option} must be ${choices.join(', ')}, got '${text}'`);
}

function numberOf(given: ParsedArguments, option: string): number | undefined {
  return numbersOf(given, option)?.[0];
}

function numbersOf(given: ParsedArguments, option: string): readonly number[] | undefined {
  return given
    .text(option)
    ?.split(',')
    .map((part) => {
      if (/^[1-9]\d{0,8}$/.test(part.trim())) return Number(part);
      throw new UsageError(`slipway model evaluate: --${option} must be whole numbers from 1 up, got '${part}'`);
    });
}

function secondsOf(given: ParsedArguments): number | undefined {
  const seconds = numberOption(given, 'speed-seconds', 'slipway model evaluate');
  if (seconds === undefined || (seconds > 0 && seconds <= MAX_SPEED_SECONDS)) return seconds;
  throw new UsageError(
    `slipway model evaluate: --speed-seconds must be above 0 and at most ${MAX_SPEED_SECONDS}, got '${given.text('speed-seconds')}'`,
  );
}

function columnsOf(given: ParsedArguments): Readonly<Record<string, readonly string[]>> | undefined {
  const texts = given.texts('columns');
  if (texts.length === 0) return undefined;
  return Object.fromEntries(
    texts.map((text) => {
      const [input, names] = parsePair(text, 'columns');
      return [input, names.split(',')];
    }),
  );
}

/** Split at the first `=`: what follows may have more of them. */
function parsePair(text: string, option: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`slipway model evaluate: --${option} must be name=value, got '${text}'`);
}

function parseHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(':');
  if (colon > 0) return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
  throw new UsageError(`slipway model evaluate: --header must be 'name: value', got '${text}'`);
}
