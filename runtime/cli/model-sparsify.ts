import { formatBytes } from '../model/quantities';
import { CHANGE_OPTIONS, changeOptions, printChange } from './change-options';
import type { Command } from './command';
import { formatTable } from './text-table';

/** `slipway model sparsify`: weights that are mostly zeros, stored without them. */
export const modelSparsify: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: CHANGE_OPTIONS,
  details:
    'ONNX stores a place of 8 bytes with each element: it pays from two zeros in three on for FP32, four in five for FP16. The new model must give the same bits unless you say otherwise; memory and speed are those of the source.',
  run: async (given, terminal) => {
    const { sparsifyModel } = await import('../model/compress/sparsify-model.js');
    const report = await sparsifyModel(await changeOptions(given, terminal, 'slipway model sparsify'));
    const rows = report.detail.weights.map(({ name, elements, nonzeros, bytesBefore, bytesAfter }) => [
      `  ${name}`,
      `${nonzeros} of ${elements} elements`,
      `${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}`,
    ]);
    await printChange(report, ['stored without zeros:', formatTable(rows, terminal.width)], given, terminal);
  },
};
