import { formatBytes } from '../quantities';
import type { BatchSpeed } from '../measure/measure-speed';
import type { EvaluationReport, ModelEvaluation } from './evaluation-report';

/** Rows of cells, the first one a heading. */
export type TableRows = readonly (readonly string[])[];

/** Metrics that are no shares, and stay as they are. */
const PLAIN = /Loss$|Error$|^(r2|spearman|queries|pairs)$/;
/** The metrics that a row of the table has room for, in the order in which people look at them. */
const SHOWN = [
  'accuracy',
  'top5Accuracy',
  'f1Macro',
  'f1Micro',
  'logLoss',
  'expectedCalibrationError',
  'hammingLoss',
  'meanAbsoluteError',
  'rootMeanSquareError',
  'r2',
  'map',
  'map50',
  'map75',
  'averageRecall',
  'recallAt1',
  'recallAt5',
  'recallAt10',
  'meanReciprocalRank',
  'spearman',
];

/** A share as a percentage, anything else with four digits. */
export function showMetric(name: string, value: number | undefined): string {
  if (value === undefined) return '–';
  return PLAIN.test(name) ? String(Number(value.toPrecision(4))) : showPercent(value);
}

export function showPercent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function showMs(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '–' : `${Number(milliseconds.toPrecision(3))} ms`;
}

/**
 * One column for each model, which are fewer than numbers: what it gets right, how fast it is, how large, and what that means beside
 * the reference.
 */
export function modelTable({ models, mainMetric }: EvaluationReport): TableRows {
  const metrics = SHOWN.filter((name) => models.some(({ result }) => Object.hasOwn(result.metrics, name)));
  const isCompared = models.length > 1;
  const columns: readonly (readonly [string, (model: ModelEvaluation) => string])[] = [
    ['model', ({ name }) => name],
    ...metrics.map((name) => [name, ({ result }: ModelEvaluation) => showMetric(name, result.metrics[name])] as const),
    ['p50', ({ speed }) => showMs(speed?.[0]?.p50Ms)],
    ['p99', ({ speed }) => showMs(speed?.[0]?.p99Ms)],
    ['rows/s', ({ speed }) => (speed === undefined ? '–' : String(Math.round(fastest(speed))))],
    [
      `${mainMetric} % ÷ ms`,
      ({ accuracyPerSpeed }) =>
        accuracyPerSpeed === undefined ? '–' : String(Number(accuracyPerSpeed.toPrecision(3))),
    ],
    ['size', ({ fileBytes }) => (fileBytes === undefined ? '–' : formatBytes(fileBytes))],
  ];
  const compared: typeof columns = [
    [
      'compression',
      ({ against }) => (against?.compressionPercent === undefined ? '–' : `${against.compressionPercent.toFixed(1)} %`),
    ],
    ['drop', ({ against }) => (against?.drop === undefined ? '–' : showMetric(mainMetric, against.drop))],
    ['agreement', ({ against }) => (against?.agreement === undefined ? '–' : showPercent(against.agreement))],
    ['speed-up', ({ against }) => showRatio(against?.speed[0])],
  ];
  const all = isCompared ? [...columns, ...compared] : columns;
  return all.map(([title, cell]) => [title, ...models.map(cell)]);
}

function fastest(speed: readonly BatchSpeed[]): number {
  return Math.max(...speed.map(({ rowsPerSecond }) => rowsPerSecond));
}

function showRatio(ratio: NonNullable<ModelEvaluation['against']>['speed'][number] | undefined): string {
  if (ratio === undefined) return '–';
  const range = `${ratio.least.toFixed(2)} to ${ratio.most.toFixed(2)}`;
  return `${ratio.ratio.toFixed(2)} × (${range}${ratio.isSure ? '' : ', unsure'})`;
}

/** Times of each batch size. */
export function speedTable({ models }: EvaluationReport): TableRows | undefined {
  if (models.every(({ speed }) => speed === undefined)) return undefined;
  const rows = models.flatMap(({ name, speed = [] }) =>
    speed.map(({ batchSize, runs, p50Ms, p90Ms, p99Ms, rowsPerSecond, spread }) => [
      name,
      String(batchSize),
      showMs(p50Ms),
      showMs(p90Ms),
      showMs(p99Ms),
      String(Math.round(rowsPerSecond)),
      showPercent(spread),
      String(runs),
    ]),
  );
  return [['model', 'rows', 'p50', 'p90', 'p99', 'rows/s', 'spread', 'runs'], ...rows];
}

/** Each class of the model that is evaluated, the ones that do worst first. */
export function classTable({ models, classNames }: EvaluationReport): TableRows | undefined {
  const { classes, boxes } = models[0]!.result;
  const nameOf = (index: number): string => classNames?.[index] ?? String(index);
  if (boxes !== undefined) {
    const sorted = [...boxes].sort((a, b) => a.averagePrecision - b.averagePrecision);
    const rows = sorted.map((each) => [
      nameOf(each.classIndex),
      showPercent(each.averagePrecision),
      showPercent(each.averagePrecision50),
      String(each.support),
    ]);
    return [['class', 'AP', 'AP@0.5', 'boxes'], ...rows];
  }
  if (classes === undefined) return undefined;
  const rows = [...classes]
    .sort((a, b) => a.f1 - b.f1)
    .map(({ classIndex, precision, recall, f1, support }) => [
      nameOf(classIndex),
      showPercent(precision),
      showPercent(recall),
      showPercent(f1),
      String(support),
    ]);
  return [['class', 'precision', 'recall', 'F1', 'rows'], ...rows];
}

/** Which classes are taken for which, most often first. */
export function mistakeTable({ models, classNames }: EvaluationReport): TableRows | undefined {
  const wrong = models[0]!.result.confusion?.filter(({ label, predicted }) => label !== predicted) ?? [];
  if (wrong.length === 0) return undefined;
  const nameOf = (index: number): string => (index < 0 ? 'none' : (classNames?.[index] ?? String(index)));
  const rows = [...wrong]
    .sort((a, b) => b.rows - a.rows)
    .map(({ label, predicted, rows: count }) => [nameOf(label), nameOf(predicted), String(count)]);
  return [['is', 'was said to be', 'rows'], ...rows];
}
