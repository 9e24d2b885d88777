import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import type { Dataset } from '../../../runtime/model/data/dataset';
import { openDataset, type DatasetOptions } from '../../../runtime/model/data/open-dataset';
import type { LabelKind, LabelOf } from '../../../runtime/model/data/dataset';
import type { ReadPreprocessing } from '../../../runtime/model/preprocessing-file';
import type { Preprocessing } from '../../../runtime/spec/preprocessing';
import type { TensorSignature } from '../../../runtime/spec/model-facts';
import { temporaryFolder } from '../../server/harness/model-repository';
import { floats, integers, npy, toolError, writeData, writeNpz, zip } from './support';

const X: TensorSignature = { name: 'x', datatype: 'FP32', shape: ['batch', 2] };
const TOKENS: TensorSignature = { name: 'ids', datatype: 'INT64', shape: ['batch', 'length'] };
const IMAGE: TensorSignature = { name: 'image', datatype: 'FP32', shape: ['batch', 3, 2, 2] };

interface ReadBatch<L> {
  readonly from: number;
  readonly shapes: readonly (readonly number[])[];
  readonly data: readonly unknown[];
  readonly labels: readonly L[];
}

async function readAll<L>(dataset: Dataset<L>, size = 100): Promise<ReadBatch<L>[]> {
  const read: ReadBatch<L>[] = [];
  for await (const { from, inputs, labels } of dataset.batches(size)) {
    read.push({
      from,
      shapes: inputs.map(({ shape }) => shape),
      data: inputs.map(({ data }) => Array.from<unknown>(data)),
      labels,
    });
  }
  return read;
}

async function read<K extends LabelKind>(
  file: string,
  options: DatasetOptions<K>,
  size = 100,
): Promise<ReadBatch<LabelOf[K]>[]> {
  return readAll(await openDataset(file, options), size);
}

const classes = { inputs: [X], labels: 'class' } as const;
/** Preprocessing that names no file. */
const described = (preprocessing: Preprocessing): ReadPreprocessing => ({ preprocessing, files: new Map() });

describe('npz', () => {
  const arrays = { x: floats([3, 2], [1, 2, 3, 4, 5, 6]), labels: integers([3], [2, 0, 1]) };

  test.each([false, true])('rows come in batches, the last one shorter (deflated: %s)', async (isDeflated) => {
    const dataset = await openDataset(writeNpz(arrays, { isDeflated }), classes);
    expect(dataset).toMatchObject({ rows: 3, format: 'npz', name: 'data.npz' });
    expect(await readAll(dataset, 2)).toEqual([
      { from: 0, shapes: [[2, 2]], data: [[1, 2, 3, 4]], labels: [2, 0] },
      { from: 2, shapes: [[1, 2]], data: [[5, 6]], labels: [1] },
    ]);
    expect(await readAll(dataset, 3)).toHaveLength(1);
  });

  test('the only array beside the labels is the only input, whatever its name', async () => {
    const file = writeNpz({ images: arrays.x, y: arrays.labels });
    expect((await read(file, classes))[0]).toMatchObject({ data: [[1, 2, 3, 4, 5, 6]], labels: [2, 0, 1] });
  });

  test('bytes become floating point without being scaled', async () => {
    const x = { datatype: 'UINT8', shape: [1, 2], data: Uint8Array.of(0, 255) } as const;
    expect((await read(writeNpz({ x, y: integers([1], [0]) }), classes))[0]!.data).toEqual([[0, 255]]);
  });

  test('labels are read as classes, sets of classes, numbers or boxes', async () => {
    const rows = { x: floats([2, 2], [1, 2, 3, 4]) };
    const many = writeNpz({ ...rows, y: integers([2, 3], [1, 0, 1, 0, 0, 0]) });
    expect((await read(many, { inputs: [X], labels: 'classes' }))[0]!.labels).toEqual([[0, 2], []]);
    const numbers = writeNpz({ ...rows, y: floats([2], [0.5, -1]) });
    expect((await read(numbers, { inputs: [X], labels: 'numbers' }))[0]!.labels).toEqual([[0.5], [-1]]);
    const boxes = writeNpz({
      ...rows,
      boxes: floats([2, 4], [0, 0, 4, 2, 1, 1, 3, 3]),
      box_classes: integers([2], [1, 0]),
      box_rows: integers([2], [1, 1]),
    });
    expect((await read(boxes, { inputs: [X], labels: 'boxes', boxFormat: 'xywh' }))[0]!.labels).toEqual([
      [],
      [
        { x1: 0, y1: 0, x2: 4, y2: 2, classIndex: 1, isCrowd: false },
        { x1: 1, y1: 1, x2: 4, y2: 4, classIndex: 0, isCrowd: false },
      ],
    ]);
  });

  test('without labels rows are read all the same, for calibration', async () => {
    expect((await read(writeNpz({ x: arrays.x }), { inputs: [X], labels: 'none' }))[0]!.labels).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('only the first rows are read where so many are asked for', async () => {
    const dataset = await openDataset(writeNpz(arrays), { ...classes, maxRows: 2 });
    expect(dataset.rows).toBe(2);
    expect((await readAll(dataset)).map(({ labels }) => labels)).toEqual([[2, 0]]);
  });

  test('a column-major array is turned', async () => {
    const head = Buffer.from(
      "\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }",
      'latin1',
    );
    const bytes = Buffer.concat([
      head,
      Buffer.alloc(10 + 0x46 - head.byteLength, ' '),
      Buffer.from(Float32Array.of(1, 3, 2, 4).buffer),
    ]);
    const file = writeData('turned.npz', zip([{ name: 'x.npy', bytes }]));
    expect((await read(file, { inputs: [X], labels: 'none' }, 1)).map(({ data }) => data[0])).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test.each([
    [
      'of another shape',
      { x: floats([1, 3], [1, 2, 3]), y: integers([1], [0]) },
      'DATA_MISFIT',
      "array 'x' must have the shape [rows, 2] of the input 'x', got [1, 3]",
    ],
    [
      'of another datatype',
      { x: { datatype: 'BOOL', shape: [1, 2], data: Uint8Array.of(1, 0) }, y: integers([1], [0]) },
      'DATA_MISFIT',
      "input 'x': NPY must hold FP32, got BOOL",
    ],
    [
      'without labels',
      { x: floats([1, 2], [1, 2]) },
      'DATA_MISFIT',
      "must have an array of labels (labels, label, y, targets, target), got 'x'",
    ],
    [
      'with fewer labels than rows',
      { x: floats([2, 2], [1, 2, 3, 4]), y: integers([1], [0]) },
      'DATA_MISFIT',
      "array 'y' must have as many rows as 'x' (2), got 1",
    ],
    ['without rows', { x: floats([0, 2], []), y: integers([0], []) }, 'DATA_EMPTY', 'must have at least one row'],
    [
      'with a label out of range',
      { x: floats([1, 2], [1, 2]), y: integers([1], [5]) },
      'LABEL_INVALID',
      'the label must be a whole number from 0 to 2, or class names must be given in their order, got 5',
    ],
    [
      'with one-hot labels',
      { x: floats([1, 2], [1, 2]), y: integers([1, 3], [0, 0, 1]) },
      'LABEL_INVALID',
      "array 'y' must have the shape [rows], got [1, 3]",
    ],
  ] as const)('an array %s is refused in a sentence', async (_, arrays_, code, message) => {
    const error = await toolError(read(writeNpz(arrays_), { ...classes, classes: 3 }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });
});

test('an array is found by the name of its input, also where that has slashes', async () => {
  const inputs = [
    { ...X, name: 'gpu_0/data:0' },
    { ...X, name: 'other' },
  ];
  const file = writeNpz({ 'gpu_0/data:0': floats([1, 2], [1, 2]), other: floats([1, 2], [3, 4]) });
  const [batch] = await read(file, { inputs, labels: 'none' });
  expect(batch!.data).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

describe('a file that means harm', () => {
  const good = npy(floats([1, 2], [1, 2]));
  const harm = async (entries: Parameters<typeof zip>[0], options = {}) =>
    toolError(read(writeData('harm.npz', zip(entries)), { inputs: [X], labels: 'none', ...options }));

  test('Python objects are refused before anything of them is read', async () => {
    const bytes = Buffer.concat([
      Buffer.from("\x93NUMPY\x01\x00\x38\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }  \n", 'latin1'),
      Buffer.from('\x80\x04cos\nsystem\n', 'latin1'),
    ]);
    expect(await harm([{ name: 'x.npy', bytes }])).toMatchObject({ code: 'DATA_UNSAFE' });
    expect(await toolError(openDataset(writeData('rows.pkl', '\x80\x04.'), classes))).toMatchObject({
      code: 'DATA_UNSAFE',
    });
  });

  test.each(['../x.npy', '/x.npy', 'a/../x.npy', './x.npy', '..\\x.npy'])(
    'a name that leaves a folder is refused: %s',
    async (name) => {
      expect(await harm([{ name, bytes: good }])).toMatchObject({ code: 'DATA_UNSAFE' });
    },
  );

  test('what unpacks to more than allowed is refused before it is unpacked', async () => {
    const zeros = npy(floats([500_000, 2], new Array<number>(1_000_000).fill(0)));
    const error = await harm([{ name: 'x.npy', bytes: zeros, isDeflated: true }], { maxUnpackedBytes: 1_000_000 });
    expect(error.message).toContain('may unpack to 1000000 bytes');
    expect(error.code).toBe('DATA_TOO_LARGE');
  });

  test('what unpacks to more than it says is refused while it is unpacked', async () => {
    const long = Buffer.concat([good, Buffer.alloc(1_000_000)]);
    const error = await harm([{ name: 'x.npy', bytes: long, isDeflated: true, claimedBytes: good.byteLength }]);
    expect(error.code).toBe('DATA_UNREADABLE');
  });

  test('a shape that asks for more than there is allocates nothing', async () => {
    const bytes = Buffer.from(
      npy(floats([1, 2], [1, 2]))
        .toString('latin1')
        .replace('(1, 2)', '(99999999, 2)')
        .replace('      \n', '\n'),
      'latin1',
    );
    expect((await harm([{ name: 'x.npy', bytes }])).message).toMatch(
      /its shape \[99999999, 2\] takes \d+ bytes, and it has \d+$/,
    );
  });

  test('damaged bytes are found by their checksum', async () => {
    expect((await harm([{ name: 'x.npy', bytes: good, claimedChecksum: 1 }])).message).toContain('is damaged');
  });

  test.each([
    ['a text', 'nothing of the kind'],
    ['half a file', zip([{ name: 'x.npy', bytes: good }]).subarray(0, 90)],
  ])('%s is no npz', async (_, content) => {
    expect(await toolError(openDataset(writeData('x.npz', content), classes))).toMatchObject({
      code: 'DATA_UNREADABLE',
    });
  });
});

describe('csv', () => {
  test('all columns but the label are the only input, in their order', async () => {
    const file = writeData('a.csv', 'a,label,b\n1,0,2\n3,1,4\n');
    expect(await read(file, classes)).toEqual([{ from: 0, shapes: [[2, 2]], data: [[1, 2, 3, 4]], labels: [0, 1] }]);
  });

  test('inputs take the columns of their name, with numbers in brackets where there are several', async () => {
    const inputs = [X, { name: 'age', datatype: 'INT64', shape: ['batch', 1] }] as const;
    const file = writeData('a.csv', 'x[1],x[0],age,y,notes\n2,1,30,0.5,"hello, world"\n');
    expect(await read(file, { inputs, labels: 'numbers' })).toEqual([
      {
        from: 0,
        shapes: [
          [1, 2],
          [1, 1],
        ],
        data: [[1, 2], [30n]],
        labels: [[0.5]],
      },
    ]);
  });

  test('columns can be given, and labels by name', async () => {
    const file = writeData('a.csv', 'u,v,kind\n1,2,dog\n');
    const options = { ...classes, columns: { x: ['v', 'u'] }, labelNames: ['kind'], classNames: ['cat', 'dog'] };
    expect((await read(file, options))[0]).toMatchObject({ data: [[2, 1]], labels: [1] });
  });

  test('several classes stand in one cell', async () => {
    const file = writeData('a.csv', 'a,b,labels\n1,2,dog|cat\n1,2,\n');
    expect((await read(file, { inputs: [X], labels: 'classes', classNames: ['cat', 'dog'] }))[0]!.labels).toEqual([
      [0, 1],
      [],
    ]);
  });

  test.each([
    ['a,b\n1,2\n', 'DATA_MISFIT', 'must have a column of labels'],
    ['a,b,c,label\n1,2,3,0\n', 'DATA_MISFIT', 'takes rows of the shape [2], which 3 columns do not make'],
    ['a,b,label\n1,x,0\n', 'DATA_MISFIT', 'FP32 element 1 cannot be read from the cell "x"'],
    ['a,b,label\n1,2,dog\n', 'LABEL_INVALID', 'row 0 of'],
    ['a,b,label\n1,2\n', 'DATA_UNREADABLE', 'Invalid Record Length'],
    ['a,a,label\n1,2,0\n', 'DATA_MISFIT', 'must name each column once'],
    ['a,b,label\n', 'DATA_EMPTY', 'at least one row'],
    ['', 'DATA_EMPTY', 'at least one row'],
  ])('%j is refused in a sentence', async (text, code, message) => {
    const error = await toolError(read(writeData('a.csv', text), classes));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
  });
});

describe('jsonl', () => {
  test('rows of one shape lie in one batch, and another shape begins another', async () => {
    const lines = [[1, 2], [3, 4], [5], [6]].map((ids, i) => JSON.stringify({ inputs: { ids }, label: i }));
    const file = writeData('a.jsonl', `${lines.join('\n')}\n\n`);
    expect(await read(file, { inputs: [TOKENS], labels: 'class' })).toEqual([
      { from: 0, shapes: [[2, 2]], data: [[1n, 2n, 3n, 4n]], labels: [0, 1] },
      { from: 2, shapes: [[2, 1]], data: [[5n, 6n]], labels: [2, 3] },
    ]);
  });

  test('lists may be flat or nested where the shape is fixed', async () => {
    const flat = { inputs: { image: Array.from({ length: 12 }, (_, i) => i) }, label: 0 };
    const nested = {
      inputs: {
        image: [0, 1, 2].map((c) => [
          [c * 4, c * 4 + 1],
          [c * 4 + 2, c * 4 + 3],
        ]),
      },
      label: 1,
    };
    const [batch] = await read(writeData('a.jsonl', `${JSON.stringify(flat)}\n${JSON.stringify(nested)}`), {
      inputs: [IMAGE],
      labels: 'class',
    });
    expect(batch!.shapes).toEqual([[2, 3, 2, 2]]);
    expect(batch!.data[0]).toEqual([...flat.inputs.image, ...flat.inputs.image]);
  });

  test('boxes and classes of pictures are read with their names', async () => {
    const label = { boxes: [[5, 5, 4, 2]], classes: ['dog'] };
    const file = writeData('a.jsonl', JSON.stringify({ inputs: { x: [1, 2] }, label }));
    const options = { inputs: [X], labels: 'boxes', boxFormat: 'cxcywh', classNames: ['cat', 'dog'] } as const;
    expect((await read(file, options))[0]!.labels).toEqual([
      [{ x1: 3, y1: 4, x2: 7, y2: 6, classIndex: 1, isCrowd: false }],
    ]);
  });

  test.each([
    ['{"inputs": {"x": [1, 2]}', 'DATA_UNREADABLE', 'line 1 of'],
    ['{"inputs": {"x": [1, 2]}, "label": 0}\n[1]', 'DATA_UNREADABLE', 'line 2 of'],
    ['{"inputs": {"y": [1, 2]}, "label": 0}', 'DATA_MISFIT', 'must have the input \'x\', got ["y"]'],
    ['{"inputs": {"x": [1, 2, 3]}, "label": 0}', 'DATA_MISFIT', 'must have the shape [2], got [3]'],
    ['{"inputs": {"x": [1, "a"]}, "label": 0}', 'DATA_MISFIT', 'FP32 element 1 must be a number'],
    ['{"inputs": {"x": [1, 2]}, "label": "dog"}', 'LABEL_INVALID', 'got "dog"'],
    ['{"inputs": {"x": [1, 2]}, "label": -1}', 'LABEL_INVALID', 'got -1'],
    ['{"inputs": {"x": [1, 2]}}', 'LABEL_INVALID', 'got nothing'],
    ['', 'DATA_EMPTY', 'at least one row'],
  ])('%j is refused in a sentence', async (text, code, message) => {
    const error = await toolError(read(writeData('a.jsonl', text), classes));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });
});

describe('a folder of pictures', () => {
  async function folder(pictures: Readonly<Record<string, readonly [number, number, number]>>): Promise<string> {
    const root = temporaryFolder();
    for (const [file, [r, g, b]] of Object.entries(pictures)) {
      const place = path.join(root, file);
      mkdirSync(path.dirname(place), { recursive: true });
      await sharp({ create: { width: 4, height: 4, channels: 3, background: { r, g, b } } })
        .png()
        .toFile(place);
    }
    return root;
  }
  const options = { inputs: [IMAGE], labels: 'class' } as const;

  test('each sub-folder is a class, in the order of their names, and each picture a row', async () => {
    const root = await folder({ 'dog/1.png': [255, 0, 0], 'cat/1.png': [0, 255, 0], 'cat/deep/2.png': [0, 0, 255] });
    writeFileSync(path.join(root, 'cat', 'notes.txt'), 'not a picture');
    const dataset = await openDataset(root, options);
    expect(dataset).toMatchObject({ rows: 3, classNames: ['cat', 'dog'], format: 'images' });
    const [batch] = await readAll(dataset);
    expect(batch!.labels).toEqual([0, 0, 1]);
    expect(batch!.shapes).toEqual([[3, 3, 2, 2]]);
    expect((batch!.data[0] as number[]).slice(0, 12)).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]);
  });

  test('preprocessing decides channels, layout, mean and deviation', async () => {
    const root = await folder({ 'a/1.png': [255, 0, 51] });
    const image = {
      kind: 'image',
      width: 2,
      height: 2,
      resize: 'stretch',
      channels: 'bgr',
      layout: 'NHWC',
      scale: 1 / 255,
      mean: [0.2, 0, 0.5],
      deviation: [1, 1, 0.5],
    } as const;
    const input = { name: 'image', datatype: 'FP32', shape: ['batch', 2, 2, 3] } as const;
    const [batch] = await read(root, { inputs: [input], labels: 'class', preprocessing: described({ image }) });
    const [b, g, r] = batch!.data[0] as number[];
    expect([b, g, r].map((value) => Number(value!.toFixed(5)))).toEqual([0, 0, 1]);
  });

  test('the order of the classes is never guessed', async () => {
    const numbered = await folder({ '2/1.png': [0, 0, 0], '10/1.png': [0, 0, 0] });
    expect((await toolError(openDataset(numbered, options))).message).toContain('sort into another order');
    const two = await folder({ 'cat/1.png': [0, 0, 0], 'dog/1.png': [0, 0, 0] });
    expect((await toolError(openDataset(two, { ...options, classes: 1_000 }))).message).toContain(
      'has 2 folders, and the model tells 1000 classes apart',
    );
    const named = await openDataset(two, { ...options, classNames: ['dog', 'bird', 'cat'] });
    expect((await readAll(named))[0]!.labels).toEqual([2, 0]);
    expect((await toolError(openDataset(two, { ...options, classNames: ['cat'] }))).message).toContain('got "dog"');
  });

  test('what is no picture is refused by its name', async () => {
    const root = await folder({ 'cat/1.png': [0, 0, 0] });
    writeFileSync(path.join(root, 'cat', '2.png'), 'not a picture');
    expect((await toolError(read(root, options))).message).toMatch(/^DATA_UNREADABLE .*2\.png: /);
    const flat = { inputs: [X], labels: 'class' } as const;
    expect((await toolError(openDataset(root, flat))).message).toContain("input 'x' FP32 [batch, 2] takes no picture");
  });

  /** Preprocessing that names no file. */
  const described = (preprocessing: Preprocessing): ReadPreprocessing => ({ preprocessing, files: new Map() });

  test('a folder without pictures is empty', async () => {
    expect(await toolError(openDataset(temporaryFolder(), options))).toMatchObject({ code: 'DATA_EMPTY' });
  });
});

test('a format that nobody knows is refused with those that are known', async () => {
  expect((await toolError(openDataset(writeData('a.parquet', ''), classes))).message).toContain(
    'must be a folder of pictures or end in .npz, .csv, .jsonl, .ndjson',
  );
  expect(await toolError(openDataset('/nowhere/a.npz', classes))).toMatchObject({ code: 'DATA_UNREADABLE' });
});

test('a data set is named by the digest of its bytes', async () => {
  const file = writeData('a.csv', 'a,b,label\n1,2,0\n');
  const dataset = await openDataset(file, classes);
  const first = await dataset.digest();
  expect(first).toMatch(/^[0-9a-f]{64}$/);
  writeFileSync(file, 'a,b,label\n1,2,1\n');
  expect(await dataset.digest()).not.toBe(first);
});

describe('what users have', () => {
  test('records become rows by the names of their columns, as the manifest says', async () => {
    const columns = [
      { name: 'kind', categories: ['a', 'b'] },
      { name: 'age', mean: 40, deviation: 20 },
    ];
    const preprocessing = described({ x: { kind: 'columns', columns } });
    const csv = writeData('a.csv', 'age,label,kind\n60,1,b\n');
    const jsonl = writeData('a.jsonl', '{"inputs": {"age": 60, "kind": "b"}, "label": 1}');
    for (const file of [csv, jsonl]) {
      expect(await read(file, { ...classes, preprocessing })).toEqual([
        { from: 0, shapes: [[1, 2]], data: [[1, 1]], labels: [1] },
      ]);
    }
    const wrong = writeData('a.csv', 'age,label,kind\n60,1,b\n60,1,c\n');
    expect((await toolError(read(wrong, { ...classes, preprocessing }))).message).toMatch(
      /^DATA_UNREADABLE row 1 of .*a\.csv: the column 'kind' must be one of a, b, got "c"$/,
    );
    const without = writeData('a.csv', 'age,label\n60,1\n');
    expect((await toolError(read(without, { ...classes, preprocessing }))).message).toContain(
      'must have the column "kind", got ["age","label"]',
    );
  });

  test('lines that name the inputs hold tensors, preprocessing or not', async () => {
    const preprocessing = described({ x: { kind: 'columns', columns: [{ name: 'a' }, { name: 'b' }] } });
    const file = writeData('a.jsonl', '{"inputs": {"x": [5, 6]}, "label": 0}');
    expect((await read(file, { ...classes, preprocessing }))[0]!.data).toEqual([[5, 6]]);
  });

  test('a line names a picture by its path, which stays in the folder', async () => {
    const root = temporaryFolder();
    mkdirSync(path.join(root, 'in', 'deep'), { recursive: true });
    const red = sharp({ create: { width: 4, height: 4, channels: 3, background: { r: 255, g: 0, b: 0 } } }).png();
    for (const place of ['in/deep/red.png', 'out.png']) await red.clone().toFile(path.join(root, place));
    symlinkSync(path.join(root, 'out.png'), path.join(root, 'in', 'link.png'));
    const image = {
      kind: 'image',
      width: 2,
      height: 2,
      resize: 'stretch',
      channels: 'rgb',
      layout: 'NCHW',
      scale: 1,
      mean: [0],
      deviation: [1],
    } as const;
    const options = { inputs: [IMAGE], labels: 'class', preprocessing: described({ image }) } as const;
    const file = path.join(root, 'in', 'rows.jsonl');
    const line = (name: unknown) => writeFileSync(file, JSON.stringify({ inputs: { image: name }, label: 0 }));
    line('deep/red.png');
    expect((await read(file, options))[0]!.data).toEqual([[255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]]);
    for (const name of ['../out.png', path.join(root, 'in', 'deep', 'red.png'), 'link.png']) {
      line(name);
      expect(await toolError(read(file, options))).toMatchObject({ code: 'DATA_UNSAFE' });
    }
    line('nowhere.png');
    expect(await toolError(read(file, options))).toMatchObject({ code: 'DATA_UNREADABLE' });
    line(5);
    expect((await toolError(read(file, options))).message).toContain("'image' must be the path of a picture, got 5");
    line(Array.from({ length: 12 }, (_, i) => i));
    expect((await read(file, options))[0]!.data).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]);
  });
});

test('text and numbers of any length are read in pieces, and a line without end is refused', async () => {
  // A line longer than what is read from the disk at once.
  const long = 'é'.repeat(300_000);
  const file = writeData('a.jsonl', `{"inputs":{"text":"${long}"},"label":0}\n{"inputs":{"text":"b"},"label":1}`);
  const text = { name: 'text', datatype: 'BYTES', shape: ['batch'] } as const;
  expect((await read(file, { inputs: [text], labels: 'class' }))[0]).toMatchObject({
    data: [[long, 'b']],
    labels: [0, 1],
  });
  const endless = writeData('b.jsonl', Buffer.alloc(65 * 2 ** 20, 'x'));
  const error = await toolError(read(endless, { inputs: [text], labels: 'class' }));
  expect(error.message).toMatch(/^DATA_TOO_LARGE line 1 of .*b\.jsonl: must have at most 67108864 bytes$/);
});

test('a model without rows takes no data set', async () => {
  const file = writeData('a.csv', 'a,label\n1,0\n');
  const scalar = { name: 'x', datatype: 'FP32', shape: [] } as const;
  expect((await toolError(openDataset(file, { inputs: [scalar], labels: 'class' }))).message).toContain(
    "input 'x' is a single value",
  );
  expect((await toolError(openDataset(file, { inputs: [], labels: 'class' }))).message).toContain('this one has none');
});
