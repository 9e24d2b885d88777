import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { writeCalibrationBatches } from '../../../runtime/model/optimize/calibration-batches';
import { readNpy } from '../../../runtime/onnx/npy';
import { temporaryFolder } from '../../server/harness/model-repository';
import { floats, toolError, writeData, writeNpz } from '../data/support';

const facts = (rows: number | string) => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 2] }] as const,
  outputs: [{ name: 'y', datatype: 'FP32', shape: [rows, 2] }] as const,
});
const rowsOf = (count: number): string =>
  writeNpz({
    x: floats(
      [count, 2],
      Array.from({ length: 2 * count }, (_, i) => i),
    ),
  });

const batches = (folder: string): readonly (readonly number[])[] =>
  readdirSync(folder)
    .sort()
    .map((name) => readNpy(readFileSync(path.join(folder, name, '0.npy'))).shape);

test('calibration takes no more rows than it is told, in batches of one size', async () => {
  const folder = temporaryFolder();
  expect(await writeCalibrationBatches(rowsOf(40), facts('n'), 20, folder)).toEqual({ batches: 2, rows: 16 });
  expect(batches(folder)).toEqual([
    [8, 2],
    [8, 2],
  ]);
});

test('a model that fixes its rows is calibrated on whole batches, and on nothing less', async () => {
  const folder = temporaryFolder();
  expect(await writeCalibrationBatches(rowsOf(10), facts(4), 128, folder)).toEqual({ batches: 2, rows: 8 });
  expect(batches(folder)).toEqual([
    [4, 2],
    [4, 2],
  ]);
  const few = temporaryFolder();
  const error = await toolError(writeCalibrationBatches(rowsOf(3), facts(4), 128, few));
  expect(error).toMatchObject({ code: 'DATA_EMPTY', kind: 'input' });
  expect(error.message).toContain('has fewer than the 4 rows that the model takes at once');
  expect(readdirSync(few)).toEqual([]);
});

test('calibration data of another shape, of another input, or that nobody could read is refused', async () => {
  const refused = async (place: string): Promise<string> =>
    (await toolError(writeCalibrationBatches(place, facts('n'), 128, temporaryFolder()))).message;
  expect(await refused(writeNpz({ x: floats([2, 3], [1, 2, 3, 4, 5, 6]) }))).toMatch(/^DATA_MISFIT /);
  expect(await refused(writeData('a.jsonl', '{"inputs": {"z": [1, 2]}}'))).toMatch(
    /^DATA_MISFIT .*must have the input 'x'/,
  );
  expect(await refused(writeData('a.pkl', 'cos\nsystem'))).toMatch(/^DATA_UNSAFE /);
  expect(await refused(writeData('a.jsonl', ''))).toMatch(/^DATA_EMPTY /);
});
