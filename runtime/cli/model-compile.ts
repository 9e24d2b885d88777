import type { CompileReport } from '../model/compile/compile-model';
import { percent } from '../model/compare/acceptance';
import { formatBytes } from '../model/quantities';
import { CHANGE_OPTIONS, changeOptions } from './change-options';
import { UsageError } from './cli-error';
import type { Command } from './command';
import { formatTable } from './text-table';

/** `slipway model compile`: a model with packed weights for the processor of this machine, and the portable one beside it. */
export const modelCompile: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: {
    ...CHANGE_OPTIONS,
    output: {
      type: 'string',
      short: 'o',
      value: 'folder',
      required: true,
      description: 'the folder to make, for model publish',
    },
    target: {
      type: 'string',
      value: 'target',
      description: 'what to compile for: cpu, the processor of this machine (cpu)',
    },
  },
  details:
    'Servers whose ONNX Runtime and processor are like those here open what was compiled; all others the model beside it. Compile on the kind of machine that serves.',
  run: async (given, terminal) => {
    const target = given.text('target') ?? 'cpu';
    if (target !== 'cpu') {
      throw new UsageError(
        `slipway model compile: --target must be cpu, got '${target}'; engines of a GPU can be built on such a GPU alone, and that has not been tried`,
      );
    }
    const { compileModel } = await import('../model/compile/compile-model.js');
    const report = await compileModel(await changeOptions(given, terminal, 'slipway model compile'));
    const json = JSON.stringify(report, undefined, 2);
    const file = given.text('report');
    if (file !== undefined) await (await import('node:fs/promises')).writeFile(file, `${json}\n`);
    terminal.out(given.flag('json') ? json : render(report, terminal.width));
  },
};

function render(
  {
    folder,
    target,
    compiled,
    portableBytes,
    compiledBytes,
    openMs,
    comparison,
    speeds,
    allowedBatchSizes,
  }: CompileReport,
  width: number,
): string {
  return [
    folder,
    formatTable(
      [
        ['  portable', formatBytes(portableBytes)],
        ['  compiled', `${formatBytes(compiledBytes)} in ${compiled}`],
        ['  for', `${target.platform}, ONNX Runtime ${target.onnxRuntime}, ${target.cpuFeatures.join(' ')}`],
        ['  opens in', `${openMs.compiled.toFixed(1)} ms, its source in ${openMs.source.toFixed(1)} ms`],
        [
          '  differs by',
          `${percent(comparison.maxRelative)} of an output's largest element, on ${comparison.rows} rows`,
        ],
        ['  worthwhile batches', allowedBatchSizes.join(', ')],
      ],
      width,
    ),
    formatTable(
      [
        ['  batch', 'p50', 'p99', 'rows/s'],
        ...speeds.map(({ batchSize, p50Ms, p99Ms, rowsPerSecond }) => [
          `  ${batchSize}`,
          `${p50Ms.toFixed(2)} ms`,
          `${p99Ms.toFixed(2)} ms`,
          rowsPerSecond.toFixed(1),
        ]),
      ],
      width,
    ),
  ].join('\n');
}
