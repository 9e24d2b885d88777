import { percent } from '../model/compare/acceptance';
import { formatBytes } from '../model/quantities';
import { CHANGE_OPTIONS, changeOptions, numberOption, printChange } from './change-options';
import type { Command } from './command';
import { formatTable } from './text-table';

const NAME = 'slipway model cluster';

/** `slipway model cluster`: each weight as a few values, and for each element which of them it is. */
export const modelCluster: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: {
    ...CHANGE_OPTIONS,
    clusters: {
      type: 'string',
      value: 'number',
      description: 'values of each weight: up to 16 take 4 bits an element, up to 256 take 8 (256)',
    },
    exclude: {
      type: 'string',
      value: 'name',
      multiple: true,
      description: 'a weight or a node that is left whole; * stands for any characters',
    },
  },
  details:
    'The file is smaller; memory and speed are those of the source, because ONNX Runtime computes the weights when it loads the model. Unless you say otherwise, 95 % of rows must keep their class.',
  run: async (given, terminal) => {
    const { clusterModel } = await import('../model/compress/cluster-model.js');
    const report = await clusterModel({
      ...(await changeOptions(given, terminal, NAME)),
      clusters: numberOption(given, 'clusters', NAME) ?? 256,
      exclude: given.texts('exclude'),
    });
    const { weights, left } = report.detail;
    const rows = weights.map(({ name, values, bytesBefore, bytesAfter, error }) => [
      `  ${name}`,
      `${values} values`,
      `${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}`,
      `error ${percent(error)}`,
    ]);
    const leftRows = left.map(({ name, reason }) => [`  ${name}`, reason]);
    const detail = ['weights of few values:', formatTable(rows, terminal.width)];
    if (leftRows.length > 0) detail.push('left as they were:', formatTable(leftRows, terminal.width));
    await printChange(report, detail, given, terminal);
  },
};
