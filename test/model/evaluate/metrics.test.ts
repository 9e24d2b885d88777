import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { ClassificationTally } from '../../../runtime/model/evaluate/metrics/classification';
import { DetectionTally, type DetectedBox } from '../../../runtime/model/evaluate/metrics/detection';
import { RetrievalTally, SimilarityTally, spearman } from '../../../runtime/model/evaluate/metrics/embedding';
import { MultilabelTally } from '../../../runtime/model/evaluate/metrics/multilabel';
import { RegressionTally } from '../../../runtime/model/evaluate/metrics/regression';
import { kindOfScores, kindOfSingleScores } from '../../../runtime/model/evaluate/row-numbers';
import type { LabelledBox } from '../../../runtime/model/data/dataset';
import { modelPython } from '../../support/model-python';
import { pythonWith } from '../../support/python';

/** Numbers from 0 to 1, the same in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

function runPython(python: string, script: string, input: unknown): any {
  const { status, stdout, stderr } = spawnSync(python, ['-c', script], {
    input: JSON.stringify(input),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

test('probabilities in steps of 8 bits are probabilities, though their sums are off', () => {
  const rounded = (scores: readonly number[]) => Float64Array.from(scores, (score) => Math.round(score * 127) / 127);
  // Ten classes: 0.9 and nine small ones that all round up or all to nothing.
  expect(kindOfScores([rounded([0.93, ...Array<number>(9).fill(0.07 / 9)])])).toBe('probabilities');
  expect(kindOfScores([rounded([0.97, ...Array<number>(9).fill(0.03 / 9)])])).toBe('probabilities');
  expect(kindOfScores([rounded([0.6, ...Array<number>(999).fill(0.4 / 999)])])).toBe('probabilities');
  expect(kindOfScores([Float64Array.of(0.9, 0.4)])).toBe('logits');
  expect(kindOfScores([Float64Array.of(1.2, -0.2)])).toBe('logits');
});

test('a row of NaN does not make logits of probabilities', () => {
  const broken = Float64Array.of(NaN, NaN);
  expect(kindOfScores([Float64Array.of(0.25, 0.75), broken])).toBe('probabilities');
  expect(kindOfScores([Float64Array.of(0.25, 3), broken])).toBe('logits');
  expect(kindOfSingleScores([Float64Array.of(0.25), Float64Array.of(NaN)])).toBe('probabilities');
  expect(kindOfSingleScores([Float64Array.of(-1), Float64Array.of(NaN)])).toBe('logits');
});

describe('classification, by hand', () => {
  // Four rows of three classes: right, right, wrong, right.
  const rows = [
    { label: 0, scores: [0.7, 0.2, 0.1] },
    { label: 1, scores: [0.1, 0.8, 0.1] },
    { label: 1, scores: [0.5, 0.3, 0.2] },
    { label: 2, scores: [0.2, 0.2, 0.6] },
  ];
  const tally = new ClassificationTally([2]);
  for (const { label, scores } of rows) tally.add(label, scores.indexOf(Math.max(...scores)), scores);
  const result = tally.result();

  test('accuracy is correct ÷ total, and the label is among the first two in every row', () => {
    expect(result).toMatchObject({ rows: 4, correct: 3, accuracy: 0.75, topK: [{ k: 2, accuracy: 1 }] });
  });

  test('precision, recall and F1 of each class, and their means', () => {
    expect(result.classes).toEqual([
      { classIndex: 0, support: 1, precision: 0.5, recall: 1, f1: 2 / 3 },
      { classIndex: 1, support: 2, precision: 1, recall: 0.5, f1: 2 / 3 },
      { classIndex: 2, support: 1, precision: 1, recall: 1, f1: 1 },
    ]);
    expect(result.precisionMacro).toBeCloseTo(2.5 / 3, 12);
    expect(result.recallMacro).toBeCloseTo(2.5 / 3, 12);
    expect(result.f1Macro).toBeCloseTo(7 / 9, 12);
  });

  test('the confusion matrix counts every row once', () => {
    expect(result.confusion).toEqual([
      { label: 0, predicted: 0, rows: 1 },
      { label: 1, predicted: 0, rows: 1 },
      { label: 1, predicted: 1, rows: 1 },
      { label: 2, predicted: 2, rows: 1 },
    ]);
  });

  test('the loss is the mean of −ln of what the label was given', () => {
    expect(result.logLoss).toBeCloseTo(-(Math.log(0.7) + Math.log(0.8) + Math.log(0.3) + Math.log(0.6)) / 4, 12);
  });

  test('the calibration error is what confidence and accuracy differ by, bin by bin', () => {
    // Each row lies in a bin of its own: 0.7, 0.8 and 0.6 were right, 0.5 was wrong.
    expect(result.calibration!.expectedError).toBeCloseTo((0.3 + 0.2 + 0.5 + 0.4) / 4, 12);
    expect(result.calibration!.maxError).toBeCloseTo(0.5, 12);
    expect(result.calibration!.bins.reduce((sum, { rows: count }) => sum + count, 0)).toBe(4);
  });

  test('a label whose score is no number is found at no rank, and certain mistakes have a finite loss', () => {
    const odd = new ClassificationTally([2]);
    odd.add(0, 1, [NaN, 1, 0]);
    odd.add(2, 0, [1, 0, 0]);
    expect(odd.result()).toMatchObject({ accuracy: 0, topK: [{ k: 2, accuracy: 0 }] });
    expect(odd.result().logLoss).toBeCloseTo(-Math.log(2 ** -52), 6);
  });

  test('without scores there is neither loss nor calibration', () => {
    const plain = new ClassificationTally([2]);
    plain.add(1, 1);
    expect(plain.result()).toMatchObject({ accuracy: 1, topK: [], logLoss: undefined, calibration: undefined });
  });
});

test('several classes at once count as right only when all are', () => {
  const tally = new MultilabelTally(3);
  tally.add([0, 2], [0, 2]);
  tally.add([1], [1, 2]);
  tally.add([], []);
  // Of nine pairs one is wrong; four were said, three of them right, of three there were.
  expect(tally.result()).toMatchObject({
    rows: 3,
    correct: 2,
    accuracy: 2 / 3,
    hammingLoss: 1 / 9,
    precisionMicro: 3 / 4,
    recallMicro: 1,
    f1Micro: 6 / 7,
  });
});

test('errors of numbers, and what they explain', () => {
  const tally = new RegressionTally(1);
  for (const [label, predicted] of [
    [1, 2],
    [2, 2],
    [3, 1],
  ] as const) {
    tally.add([label], [predicted]);
  }
  const result = tally.result();
  expect(result).toMatchObject({ rows: 3, meanAbsoluteError: 1, maxError: 2 });
  expect(result.rootMeanSquareError).toBeCloseTo(Math.sqrt(5 / 3), 12);
  expect(result.r2).toBeCloseTo(1 - 5 / 2, 12);
});

test('labels that are large and near each other lose no digits', () => {
  const tally = new RegressionTally(1);
  for (const label of [1e9, 1e9 + 1, 1e9 + 2]) tally.add([label], [label + 0.5]);
  expect(tally.result().r2).toBeCloseTo(1 - 0.75 / 2, 9);
});

test('labels that are all the same explain nothing', () => {
  const tally = new RegressionTally(1);
  tally.add([1], [1]);
  tally.add([1], [1]);
  expect(tally.result().r2).toBeNaN();
});

describe('detection, by hand', () => {
  const box = (x: number, classIndex = 0, isCrowd = false): LabelledBox => ({
    x1: x,
    y1: 0,
    x2: x + 10,
    y2: 10,
    classIndex,
    isCrowd,
  });
  const found = (x: number, score: number, classIndex = 0): DetectedBox => ({
    x1: x,
    y1: 0,
    x2: x + 10,
    y2: 10,
    classIndex,
    score,
  });
  const resultOf = (...rows: readonly (readonly [readonly LabelledBox[], readonly DetectedBox[]])[]) => {
    const tally = new DetectionTally();
    for (const [label, detected] of rows) tally.add(label, detected);
    return tally.result();
  };

  test('boxes that lie exactly on their labels are perfect', () => {
    expect(
      resultOf([
        [box(0), box(50, 1)],
        [found(0, 0.9), found(50, 0.8, 1)],
      ]),
    ).toMatchObject({
      meanAveragePrecision: 1,
      meanAveragePrecision50: 1,
      averageRecall: 1,
      classes: [
        { classIndex: 0, support: 1 },
        { classIndex: 1, support: 1 },
      ],
    });
  });

  test('a box that overlaps by 9/11 counts up to 0.8', () => {
    // 90 of 110 are shared: 0.818, found at 0.5, 0.55 … 0.8, which are 7 of 10.
    const result = resultOf([[box(0)], [found(1, 0.9)]]);
    expect(result).toMatchObject({ meanAveragePrecision50: 1, meanAveragePrecision75: 1 });
    expect(result.meanAveragePrecision).toBeCloseTo(0.7, 12);
  });

  test('a surer mistake halves the precision at every recall', () => {
    expect(resultOf([[box(0)], [found(100, 0.9), found(0, 0.8)]]).meanAveragePrecision).toBeCloseTo(0.5, 12);
  });

  test('half of the boxes are read off at 51 of 101 recalls', () => {
    expect(resultOf([[box(0), box(50)], [found(0, 0.9)]]).meanAveragePrecision).toBeCloseTo(51 / 101, 12);
  });

  test('finding a box twice is a mistake, finding something in a crowd is none', () => {
    const twice = resultOf([
      [box(0), box(50)],
      [found(0, 0.9), found(0.1, 0.8), found(50, 0.7)],
    ]);
    expect(twice.meanAveragePrecision50).toBeCloseTo((51 + 50 * (2 / 3)) / 101, 12);
    const crowd = resultOf([
      [box(0), box(50, 0, true)],
      [found(50, 0.95), found(50.2, 0.9), found(0, 0.8)],
    ]);
    expect(crowd.meanAveragePrecision).toBe(1);
  });

  test('recalls are those of COCO to the last bit: 57 of 100 boxes do not reach its 0.57', () => {
    // NumPy's linspace has 0.5700000000000001 there, so that 0 to 0.56 are reached: 57 of 101.
    const row = (i: number) => [[box(0)], i < 57 ? [found(0, 0.9)] : []] as const;
    const result = resultOf(...Array.from({ length: 100 }, (_, i) => row(i)));
    expect(result.meanAveragePrecision).toBeCloseTo(57 / 101, 12);
  });
});

test('pycocotools counts the same average precision on random boxes', (context) => {
  const python = pythonWith('pycocotools', 'numpy') ?? context.skip('python3 with pycocotools is not installed');
  const random = randomNumbers(7);
  const boxes = (n: number) =>
    Array.from({ length: n }, () => {
      const [x, y] = [random() * 80, random() * 80];
      return {
        x1: x,
        y1: y,
        x2: x + 5 + random() * 25,
        y2: y + 5 + random() * 25,
        classIndex: Math.floor(random() * 4),
      };
    });
  const images = Array.from({ length: 40 }, () => {
    const wanted = boxes(Math.floor(random() * 7)).map((box): LabelledBox => ({ ...box, isCrowd: random() < 0.1 }));
    const near = wanted.map((box) => {
      const move = (value: number): number => value + (random() - 0.5) * 3;
      const classIndex = random() < 0.85 ? box.classIndex : Math.floor(random() * 4);
      return {
        x1: move(box.x1),
        y1: move(box.y1),
        x2: move(box.x2),
        y2: move(box.y2),
        classIndex,
        score: random(),
      };
    });
    return { wanted, found: [...near, ...boxes(3).map((box) => ({ ...box, score: random() }))] };
  });
  const tally = new DetectionTally();
  for (const { wanted, found } of images) tally.add(wanted, found);
  const result = tally.result();
  const theirs = runPython(
    python,
    `
import json, sys, io, contextlib
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
images = json.load(sys.stdin)
wh = lambda b: [b['x1'], b['y1'], b['x2'] - b['x1'], b['y2'] - b['y1']]
anns = [dict(image_id=i, category_id=b['classIndex'], bbox=wh(b), area=wh(b)[2] * wh(b)[3], iscrowd=int(b['isCrowd'])) for i, m in enumerate(images) for b in m['wanted']]
for n, a in enumerate(anns): a['id'] = n + 1
found = [dict(image_id=i, category_id=b['classIndex'], bbox=wh(b), score=b['score']) for i, m in enumerate(images) for b in m['found']]
with contextlib.redirect_stdout(io.StringIO()):
    coco = COCO()
    coco.dataset = dict(images=[dict(id=i) for i in range(len(images))], annotations=anns, categories=[dict(id=c) for c in range(4)])
    coco.createIndex()
    e = COCOeval(coco, coco.loadRes(found), 'bbox')
    e.evaluate(); e.accumulate(); e.summarize()
print(json.dumps(list(e.stats[:3]) + [e.stats[8]]))
`,
    images,
  ) as readonly number[];
  const ours = [
    result.meanAveragePrecision,
    result.meanAveragePrecision50,
    result.meanAveragePrecision75,
    result.averageRecall,
  ];
  expect(ours[0]).toBeGreaterThan(0.05);
  ours.forEach((value, i) => expect(value).toBeCloseTo(theirs[i]!, 9));
});

describe('embeddings, by hand', () => {
  test('each row is looked for among all others', () => {
    const tally = new RetrievalTally();
    // The first two are nearest to each other; the third of label 1 is nearest to a row of label 0; label 2 is alone.
    tally.add(0, [1, 0]);
    tally.add(0, [1, 0.1]);
    tally.add(1, [1, 0.3]);
    tally.add(1, [0, 1]);
    tally.add(2, [-1, 0]);
    const { rows, queries, recallAt, meanReciprocalRank } = tally.result();
    expect({ rows, queries }).toEqual({ rows: 5, queries: 4 });
    // Ranks: 1, 1, 3 (behind both of label 0), 1.
    expect(recallAt).toEqual([
      { k: 1, recall: 0.75 },
      { k: 5, recall: 1 },
      { k: 10, recall: 1 },
    ]);
    expect(meanReciprocalRank).toBeCloseTo((1 + 1 + 1 / 3 + 1) / 4, 12);
  });

  test('vectors that are all the same find nothing first', () => {
    const tally = new RetrievalTally();
    for (const label of [0, 0, 1, 1]) tally.add(label, [1, 1]);
    expect(tally.result().recallAt[0]).toEqual({ k: 1, recall: 0 });
  });

  test('pairs are correlated by their ranks, equal ones sharing theirs', () => {
    const tally = new SimilarityTally();
    for (const [score, angle] of [
      [5, 0],
      [3, 1],
      [1, 2],
    ] as const) {
      tally.add(score, [1, 0]);
      tally.add(score, [Math.cos(angle), Math.sin(angle)]);
    }
    expect(tally.result()).toEqual({ rows: 6, pairs: 3, spearman: 1 });
    expect(spearman([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1, 12);
    // By hand: ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4 give 4.5 ÷ √(4.5 × 5).
    expect(spearman([1, 2, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
    expect(spearman([1, 1], [1, 2])).toBeNaN();
  });

  test('pairs of equal vectors are equally similar, whatever the last bits of their products are', () => {
    const tally = new SimilarityTally();
    const pairs = Array.from({ length: 40 }, (_, i) => [Math.sin(i), Math.cos(i * 3), i / 7]);
    for (const vector of pairs) [1, 2].forEach(() => tally.add(pairs.indexOf(vector), vector));
    tally.add(-1, [1, 0]);
    tally.add(-1, [0, 1]);
    // One pair is less similar than 40 that are all the same: ranks 1 and 21.5 against 1 to 41.
    const expected = spearman([0, ...pairs.map(() => 1)], [-1, ...pairs.keys()]);
    expect(tally.result().spearman).toBeCloseTo(expected, 12);
  });
});

test('scikit-learn and SciPy count the same on random rows', async (context) => {
  const { python } = await modelPython(context, 'sklearn');
  const random = randomNumbers(3);
  const rows = Array.from({ length: 300 }, () => {
    const raw = Array.from({ length: 5 }, () => random() ** 3 + 1e-3);
    const sum = raw.reduce((total, score) => total + score, 0);
    const scores = raw.map((score) => score / sum);
    return { label: random() < 0.5 ? scores.indexOf(Math.max(...scores)) : Math.floor(random() * 5), scores };
  });
  const sets = Array.from({ length: 200 }, () => ({
    label: [0, 1, 2, 3].filter(() => random() < 0.4),
    predicted: [0, 1, 2, 3].filter(() => random() < 0.5),
  }));
  const numbers = Array.from({ length: 200 }, () => ({
    label: [random(), random() * 9],
    predicted: [random(), random() * 9],
  }));
  const pairs = Array.from({ length: 100 }, () => [Math.round(random() * 5), Math.round(random() * 20)] as const);

  const classes = new ClassificationTally([2, 3]);
  for (const { label, scores } of rows) classes.add(label, scores.indexOf(Math.max(...scores)), scores);
  const several = new MultilabelTally(4);
  for (const { label, predicted } of sets) several.add(label, predicted);
  const regression = new RegressionTally(2);
  for (const { label, predicted } of numbers) regression.add(label, predicted);

  const theirs = runPython(
    python,
    `
import json, sys
import numpy as np
from scipy.stats import spearmanr
from sklearn import metrics as m
d = json.load(sys.stdin)
y = [r['label'] for r in d['rows']]
p = np.array([r['scores'] for r in d['rows']])
a = p.argmax(axis=1)
hot = lambda key: np.array([[int(c in s[key]) for c in range(4)] for s in d['sets']])
t, q = hot('label'), hot('predicted')
u = np.array([n['label'] for n in d['numbers']]); v = np.array([n['predicted'] for n in d['numbers']])
macro = dict(average='macro', zero_division=0)
micro = dict(average='micro')
print(json.dumps(dict(
  classes=[m.accuracy_score(y, a), m.precision_score(y, a, **macro), m.recall_score(y, a, **macro), m.f1_score(y, a, **macro), m.log_loss(y, p),
           m.top_k_accuracy_score(y, p, k=2), m.top_k_accuracy_score(y, p, k=3)],
  confusion=m.confusion_matrix(y, a).tolist(),
  several=[m.accuracy_score(t, q), m.hamming_loss(t, q), m.precision_score(t, q, **micro), m.recall_score(t, q, **micro), m.f1_score(t, q, **micro),
           m.precision_score(t, q, **macro), m.recall_score(t, q, **macro), m.f1_score(t, q, **macro)],
  regression=[m.mean_absolute_error(u, v), m.root_mean_squared_error(u.ravel(), v.ravel()), m.r2_score(u, v)],
  spearman=spearmanr([x[0] for x in d['pairs']], [x[1] for x in d['pairs']]).statistic)))
`,
    { rows, sets, numbers, pairs },
  );
  const near = (ours: readonly (number | undefined)[], expected: readonly number[]): void => {
    expect(ours).toHaveLength(expected.length);
    ours.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 9));
  };
  const one = classes.result();
  near(
    [
      one.accuracy,
      one.precisionMacro,
      one.recallMacro,
      one.f1Macro,
      one.logLoss,
      ...one.topK.map(({ accuracy }) => accuracy),
    ],
    theirs.classes,
  );
  for (const { label, predicted, rows: count } of one.confusion) expect(count).toBe(theirs.confusion[label][predicted]);
  const many = several.result();
  near(
    [
      many.accuracy,
      many.hammingLoss,
      many.precisionMicro,
      many.recallMicro,
      many.f1Micro,
      many.precisionMacro,
      many.recallMacro,
      many.f1Macro,
    ],
    theirs.several,
  );
  const errors = regression.result();
  near([errors.meanAbsoluteError, errors.rootMeanSquareError, errors.r2], theirs.regression);
  near(
    [
      spearman(
        pairs.map(([a]) => a),
        pairs.map(([, b]) => b),
      ),
    ],
    [theirs.spearman],
  );
});
