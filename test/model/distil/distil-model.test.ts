import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test, vi, type TestContext } from 'vitest';
import { distilModel, type DistilOptions } from '../../../runtime/model/distil/distil-model';
import { runModel } from '../../../runtime/model/run-model';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { temporaryFolder } from '../../server/harness/model-repository';
import { modelPython } from '../../support/model-python';
import { refusalOf } from '../../support/model-tool-refusal';
import { floats, integers, npy, zip } from '../data/support';

// Frameworks take seconds to load, and machines are shared.
vi.setConfig({ testTimeout: 240_000 });

const TEACHER = path.join(__dirname, '../../../models/digits/model.onnx');
const HELD_OUT = JSON.parse(readFileSync(path.join(__dirname, '../../../models/digits/heldout.json'), 'utf8')) as {
  readonly images: readonly (readonly number[])[];
  readonly labels: readonly number[];
};
const VALIDATION_ROWS = 100;

const STUDENTS = `
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(128, 10))
def soft(): return nn.Sequential(build(), nn.Softmax(1))
class Asked(nn.Softmax):
    def forward(self, x): return x if self.training else super().forward(x)
def soft_when_asked(): return nn.Sequential(build(), Asked(1))
def few(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
def wide(): return nn.Linear(7, 10)
def normal(): return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))
class Counting(nn.Sequential):
    def forward(self, x): return super().forward(x) * (2 if x.sum() > 0 else 1)
def counting(): return Counting(nn.Flatten(), nn.Linear(64, 10))
def still(): return normal().requires_grad_(False)
`;

/** Digits that neither the teacher nor the student has seen: some to learn from, others to measure. */
function project(): Pick<DistilOptions, 'teacher' | 'student' | 'data' | 'validation' | 'output' | 'device'> & {
  folder: string;
} {
  const folder = temporaryFolder();
  const { images, labels } = HELD_OUT;
  const at = images.length - VALIDATION_ROWS;
  const write = (name: string, from: number, to: number): string => {
    const file = path.join(folder, name);
    const image = npy(floats([to - from, 1, 8, 8], images.slice(from, to).flat()));
    const classes = npy(integers([to - from], labels.slice(from, to)));
    writeFileSync(
      file,
      zip([
        { name: 'image.npy', bytes: image },
        { name: 'labels.npy', bytes: classes },
      ]),
    );
    return file;
  };
  writeFileSync(path.join(folder, 'student.py'), STUDENTS);
  return {
    folder,
    teacher: TEACHER,
    student: `${path.join(folder, 'student.py')}:build`,
    data: write('train.npz', 0, at),
    validation: write('validation.npz', at, images.length),
    output: path.join(folder, 'student'),
    device: 'cpu',
  };
}

test('a student learns from a teacher, and its ONNX file is as right as the report says', async (context: TestContext) => {
  await modelPython(context, 'torch');
  const options = project();
  const report = await distilModel({ ...options, epochs: 12, learningRate: 0.005 });
  expect(report.teacher.accuracy).toBeGreaterThan(95);
  expect(report.student.accuracyBefore).toBeLessThan(30);
  expect(report.student.accuracy).toBeGreaterThan(80);
  expect(report.drop).toBeCloseTo(report.teacher.accuracy - report.student.accuracy, 6);
  expect(report.epochs).toHaveLength(12);
  expect(report.epochs.at(-1)!.accuracy).toBe(report.student.accuracy);
  expect(report).toMatchObject({ trainRows: 300, validationRows: 100, classes: 10, device: 'cpu' });

  const { output } = options;
  expect(readdirSync(output).sort()).toEqual([
    'report.json',
    'student.onnx',
    'student.onnx.provenance.json',
    'student.pt',
    'student.pt.provenance.json',
  ]);
  expect(existsSync(`${output}.checkpoint`)).toBe(false);
  expect(JSON.parse(readFileSync(path.join(output, 'report.json'), 'utf8')).student).toEqual(report.student);
  const history = JSON.parse(readFileSync(path.join(output, 'student.onnx.provenance.json'), 'utf8'));
  expect(history.steps.map(({ command }: { command: string }) => command.split(' ').slice(0, 3).join(' '))).toEqual([
    'slipway model distil',
    'slipway model convert',
  ]);
  expect(history.source[0].path).toBe('model.onnx');
  expect(report.compression).toBeCloseTo(
    ((report.teacher.bytes! - report.student.bytes) / report.teacher.bytes!) * 100,
    6,
  );

  // Measured again, by the server's runtime.
  const { facts } = readOnnxModel(path.join(output, 'student.onnx'));
  const rows = HELD_OUT.images.slice(-VALIDATION_ROWS);
  const input = {
    name: 'image',
    datatype: 'FP32',
    shape: [rows.length, 1, 8, 8],
    data: Float32Array.from(rows.flat()),
  } as const;
  const [[answers]] = (await runModel(path.join(output, 'student.onnx'), [input], facts.outputs, 1)) as any;
  const right = HELD_OUT.labels.slice(-VALIDATION_ROWS).filter((label, row) => {
    const scores = [...answers.data.subarray(row * 10, row * 10 + 10)];
    return scores.indexOf(Math.max(...scores)) === label;
  });
  expect(right.length).toBe(report.student.accuracy);
});

test('an interrupted training goes on where it was, to the very same student', async (context) => {
  await modelPython(context, 'torch');
  const options = { ...project(), epochs: 4 };
  const whole = await distilModel({ ...options, output: path.join(options.folder, 'whole') });
  const controller = new AbortController();
  const said: string[] = [];
  const interrupted = distilModel({
    ...options,
    signal: controller.signal,
    progress: (text) => {
      said.push(text);
      // The third epoch is under way, its machine goes.
      if (text.startsWith('epoch 2 of 4')) controller.abort(new Error('the machine was taken away'));
    },
  });
  await expect(interrupted).rejects.toThrow('the machine was taken away');
  expect(existsSync(options.output)).toBe(false);
  expect(readdirSync(`${options.output}.checkpoint`)).toContain('checkpoint.pt');

  const changed = await refusalOf(distilModel({ ...options, temperature: 2 }));
  expect(changed.message).toContain('OPTION_INVALID --checkpoint: is of other settings, data or networks');

  const resumed = await distilModel(options);
  expect(resumed.resumedAt!.epoch).toBeGreaterThanOrEqual(1);
  expect(resumed.epochs).toEqual(whole.epochs);
  expect(resumed.conversion.output.sha256).toBe(whole.conversion.output.sha256);
  expect(existsSync(`${options.output}.checkpoint`)).toBe(false);
});

test('a student that falls too far behind is not written, and what it learned is kept', async (context) => {
  await modelPython(context, 'torch');
  const options = project();
  const refusal = await refusalOf(distilModel({ ...options, epochs: 1, maxDrop: 0.005 }));
  expect(refusal.code).toBe('GATE_FAILED');
  expect(refusal.kind).toBe('verdict');
  expect(refusal.message).toContain('--max-drop allows 0.5 % of the rows; nothing was written, the checkpoint stays');
  expect(existsSync(options.output)).toBe(false);
  expect(existsSync(`${options.output}.checkpoint`)).toBe(true);
});

test('a student may end in a softmax, and a teacher may be a network', async (context) => {
  await modelPython(context, 'torch');
  const options = project();
  const { parseInput } = await import('../../../runtime/model/convert/input-signature.js');
  const report = await distilModel({
    ...options,
    teacher: options.student,
    student: options.student.replace(':build', ':soft'),
    inputs: [parseInput('image=float32[batch,1,8,8]')],
    epochs: 1,
  });
  expect(report.teacher.bytes).toBeUndefined();
  expect(report.compression).toBeUndefined();
  expect(report.epochs[0]!.loss).toBeGreaterThan(0);
});

test('a student that leaves its softmax out while it learns does so like one that has none', async (context) => {
  await modelPython(context, 'torch');
  const losses = async (factory: string): Promise<readonly number[]> => {
    const options = project();
    const student = options.student.replace(':build', `:${factory}`);
    const { epochs } = await distilModel({ ...options, student, epochs: 2 });
    return epochs.map(({ loss }) => loss);
  };
  expect(await losses('soft_when_asked')).toEqual(await losses('build'));
});

test.for([
  ['few', 'must give 10 classes as the teacher does, got 3'],
  ['wide', 'does not take these rows'],
] as const)('a student that does not fit is refused: %s', async ([factory, message], context) => {
  await modelPython(context, 'torch');
  const options = project();
  const refusal = await refusalOf(
    distilModel({ ...options, student: options.student.replace(':build', `:${factory}`) }),
  );
  expect(refusal.message).toContain(message);
});

test('a student that cannot become ONNX, or cannot learn, is refused before it learns, and leaves no checkpoint', async (context) => {
  await modelPython(context, 'torch');
  const options = project();
  const student = (name: string) => options.student.replace(':build', `:${name}`);
  const said: string[] = [];
  const progress = (text: string) => said.push(text);
  expect((await refusalOf(distilModel({ ...options, student: student('counting'), progress }))).message).toMatch(
    /^CONVERSION_FAILED \S+student\.py: the converter says at student\.py:\d+: the code branches or loops by the numbers/,
  );
  expect((await refusalOf(distilModel({ ...options, student: student('still'), progress }))).message).toContain(
    'makes a student without weights that could learn',
  );
  expect(said.filter((text) => text.startsWith('epoch'))).toEqual([]);
  expect(readdirSync(options.folder).sort()).toEqual(['student.py', 'train.npz', 'validation.npz']);
});

test('a single row that is left over learns with the batch before it', async (context) => {
  await modelPython(context, 'torch');
  const options = project();
  const { trainRows } = await distilModel({
    ...options,
    student: options.student.replace(':build', ':normal'),
    epochs: 1,
    batchSize: HELD_OUT.images.length - VALIDATION_ROWS - 1,
  });
  expect(trainRows).toBe(HELD_OUT.images.length - VALIDATION_ROWS);
});

test('labels that the teacher does not know are refused', async (context) => {
  await modelPython(context, 'torch');
  const options = project();
  const file = path.join(options.folder, 'other.npz');
  const image = npy(floats([2, 1, 8, 8], Array<number>(128).fill(0)));
  writeFileSync(
    file,
    zip([
      { name: 'image.npy', bytes: image },
      { name: 'labels.npy', bytes: npy(integers([2], [0, 11])) },
    ]),
  );
  const refusal = await refusalOf(distilModel({ ...options, data: file }));
  expect(refusal.message).toContain('LABEL_INVALID data: the teacher has classes 0 to 9, and labels go from 0 to 11');
});

test('what makes no sense is refused before anything is trained', async () => {
  const options = { ...project(), environment: { PATH: '' } };
  const refuse = async (other: Partial<DistilOptions>) =>
    (await refusalOf(distilModel({ ...options, ...other }))).message;
  expect(await refuse({ temperature: 0 })).toContain('--temperature: must be above 0 and at most 1000, got 0');
  expect(await refuse({ alpha: 1.5 })).toContain('--alpha: must be from 0 to 1, got 1.5');
  expect(await refuse({ epochs: 0 })).toContain('--epochs: must be a whole number from 1 up, got 0');
  expect(await refuse({ batchSize: 1.5 })).toContain('--batch-size: must be a whole number from 1 up, got 1.5');
  expect(await refuse({ learningRate: 0 })).toContain('--learning-rate: must be above 0 and at most 10, got 0');
  expect(await refuse({ weightDecay: -1 })).toContain('--weight-decay: must be from 0 to 10, got -1');
  expect(await refuse({ seed: -1 })).toContain('--seed: must be a whole number from 0 up, got -1');
  expect(await refuse({ student: TEACHER })).toContain('SOURCE_UNKNOWN');
  expect(await refuse({ teacherOutput: 'logits' })).toContain(
    "which output has a number for each class? the teacher gives 'probabilities'",
  );
  expect(await refuse({ teacher: options.student })).toContain('a PyTorch teacher does not say what it takes');
  expect(await refuse({ data: '/nonexistent.npz' })).toContain('DATA_UNREADABLE /nonexistent.npz: does not exist');
  expect(await refuse({})).toContain('PYTHON_MISSING');
  expect(existsSync(options.output)).toBe(false);
});
