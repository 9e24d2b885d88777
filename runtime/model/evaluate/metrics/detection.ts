import type { Box, LabelledBox } from '../../data/dataset';

/** A box that a model says holds something. */
export interface DetectedBox extends Box {
  readonly classIndex: number;
  readonly score: number;
}

export interface DetectionClassResult {
  readonly classIndex: number;
  /** Boxes that were to be found, crowds not counted. */
  readonly support: number;
  /** Average precision, mean over the overlaps from 0.5 to 0.95. */
  readonly averagePrecision: number;
  readonly averagePrecision50: number;
}

export interface DetectionResult {
  readonly rows: number;
  /** mAP@[.5:.95]: mean over classes and the overlaps 0.5, 0.55 … 0.95. */
  readonly meanAveragePrecision: number;
  readonly meanAveragePrecision50: number;
  readonly meanAveragePrecision75: number;
  /** Share of boxes that were found with up to 100 answers for each picture and class, mean as the first. */
  readonly averageRecall: number;
  readonly classes: readonly DetectionClassResult[];
}

/** Overlaps (intersection over union) from which on a box counts as found. */
const OVERLAPS = evenly(0.5, 0.95, 10);
/** Recalls at which precision is read off: 0, 0.01 … 1. */
const RECALLS = evenly(0, 1, 101);
/** Best answers that count, for each picture and class. */
const MAX_DETECTIONS = 100;

/** One answer: whether it is right at each overlap, or neither right nor wrong (`undefined`) because it lies in a crowd. */
interface Answer {
  readonly score: number;
  readonly isRight: readonly (boolean | undefined)[];
}

interface ClassTally {
  readonly answers: Answer[];
  support: number;
}

/**
 * Average precision as COCO counts it (https://cocodataset.org/#detection-eval): all sizes of objects, 101 recalls, at most 100
 * answers for each picture and class; answers in crowds do not count.
 */
export class DetectionTally {
  #rows = 0;
  readonly #classes = new Map<number, ClassTally>();

  add(label: readonly LabelledBox[], detected: readonly DetectedBox[]): void {
    this.#rows += 1;
    for (const classIndex of new Set([...label, ...detected].map((box) => box.classIndex))) {
      const wanted = label.filter((box) => box.classIndex === classIndex);
      const found = detected.filter((box) => box.classIndex === classIndex && !Number.isNaN(box.score));
      // Sorting is stable: of answers with one score the first stays first.
      const best = [...found].sort((a, b) => b.score - a.score).slice(0, MAX_DETECTIONS);
      const tally = this.#classes.get(classIndex) ?? { answers: [], support: 0 };
      this.#classes.set(classIndex, tally);
      tally.support += wanted.filter(({ isCrowd }) => isCrowd !== true).length;
      tally.answers.push(...judge(wanted, best));
    }
  }

  result(): DetectionResult {
    const present = [...this.#classes].filter(([, { support }]) => support > 0).sort(([a], [b]) => a - b);
    const curves = present.map(([, tally]) => OVERLAPS.map((_, i) => curveOf(tally, i)));
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    const at = (i: number): number => mean(curves.map((curve) => curve[i]!.averagePrecision));
    return {
      rows: this.#rows,
      meanAveragePrecision: mean(curves.flat().map(({ averagePrecision }) => averagePrecision)),
      meanAveragePrecision50: at(0),
      meanAveragePrecision75: at(5),
      averageRecall: mean(curves.flat().map(({ recall }) => recall)),
      classes: present.map(([classIndex, { support }], i) => ({
        classIndex,
        support,
        averagePrecision: mean(curves[i]!.map(({ averagePrecision }) => averagePrecision)),
        averagePrecision50: curves[i]![0]!.averagePrecision,
      })),
    };
  }
}

/** As NumPy's `linspace`, to the bit: whether 57 of 100 boxes reach the recall 0.57 is decided by its last one. */
function evenly(from: number, to: number, count: number): readonly number[] {
  const step = (to - from) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? to : i * step + from));
}

/** Gives each answer, the surest first, the box that it overlaps most of those that nobody has taken. */
function judge(wanted: readonly LabelledBox[], best: readonly DetectedBox[]): readonly Answer[] {
  const ordered = [...wanted].sort((a, b) => Number(a.isCrowd === true) - Number(b.isCrowd === true));
  const overlaps = best.map((answer) => ordered.map((box) => overlapOf(answer, box)));
  const rights = OVERLAPS.map((least) => {
    const taken = new Set<number>();
    return best.map((_, d) => {
      const match = bestMatch(overlaps[d]!, ordered, taken, least);
      if (match === undefined) return false;
      if (ordered[match]!.isCrowd === true) return undefined;
      taken.add(match);
      return true;
    });
  });
  return best.map(({ score }, d) => ({ score, isRight: rights.map((right) => right[d]) }));
}

function bestMatch(
  overlaps: readonly number[],
  boxes: readonly LabelledBox[],
  taken: ReadonlySet<number>,
  least: number,
): number | undefined {
  let most = Math.min(least, 1 - 1e-10);
  let match: number | undefined;
  for (let g = 0; g < boxes.length; g++) {
    if (taken.has(g)) continue;
    // Crowds are last: whoever has found a box of its own does not look at them.
    if (match !== undefined && boxes[match]!.isCrowd !== true && boxes[g]!.isCrowd === true) break;
    if (overlaps[g]! < most) continue;
    most = overlaps[g]!;
    match = g;
  }
  return match;
}

/** Intersection over union; over the answer alone where the box is of a crowd. */
function overlapOf(answer: Box, box: LabelledBox): number {
  const width = Math.min(answer.x2, box.x2) - Math.max(answer.x1, box.x1);
  const height = Math.min(answer.y2, box.y2) - Math.max(answer.y1, box.y1);
  const shared = width > 0 && height > 0 ? width * height : 0;
  const own = (answer.x2 - answer.x1) * (answer.y2 - answer.y1);
  const all = box.isCrowd === true ? own : own + (box.x2 - box.x1) * (box.y2 - box.y1) - shared;
  return all > 0 ? shared / all : 0;
}

function curveOf({ answers, support }: ClassTally, i: number): { averagePrecision: number; recall: number } {
  const counted = [...answers].sort((a, b) => b.score - a.score).filter(({ isRight }) => isRight[i] !== undefined);
  const recalls: number[] = [];
  const precisions: number[] = [];
  let right = 0;
  counted.forEach(({ isRight }, n) => {
    right += isRight[i] === true ? 1 : 0;
    recalls.push(right / support);
    precisions.push(right / (n + 1));
  });
  // Precision at a recall is the best that is reached there or further on.
  for (let n = precisions.length - 2; n >= 0; n--) precisions[n] = Math.max(precisions[n]!, precisions[n + 1]!);
  let n = 0;
  const sum = RECALLS.reduce((total, recall) => {
    while (n < recalls.length && recalls[n]! < recall) n += 1;
    return total + (precisions[n] ?? 0);
  }, 0);
  return { averagePrecision: sum / RECALLS.length, recall: recalls.at(-1) ?? 0 };
}
