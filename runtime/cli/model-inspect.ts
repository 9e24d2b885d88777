import type { Finding } from '../model/doctor';
import { CliError, UsageError } from './cli-error';
import type { Command } from './command';

const PROVIDERS = ['cpu', 'cuda', 'tensorrt'] as const;

/** `slipway model inspect`: what an ONNX file says about itself, and what the doctor says about it, without running it. */
export const modelInspect: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: {
    json: { type: 'boolean', description: 'print facts, findings and digests as JSON instead of a table' },
    'execution-provider': {
      type: 'string',
      value: 'provider',
      description: 'what the model is to run on: cpu, cuda or tensorrt (cpu)',
    },
  },
  run: async (given, terminal) => {
    const { OnnxFileError } = await import('../onnx/onnx-file-error.js');
    const { readModelOutline } = await import('../onnx/read-model-outline.js');
    const { readOnnxModel } = await import('../onnx/read-onnx-model.js');
    const { examineModel } = await import('../model/doctor/index.js');
    const { renderFindings, renderModelFacts } = await import('./model-table.js');
    const file = given.argument('file');
    const executionProvider = providerOf(given.text('execution-provider'));
    const findings = (): readonly Finding[] => examineModel(readModelOutline(file), { executionProvider });
    let model: ReturnType<typeof readOnnxModel>;
    try {
      model = readOnnxModel(file);
    } catch (error) {
      // A file that cannot be served has no facts, and is the one that people bring to a doctor.
      if (!OnnxFileError.is(error) || !['TYPE_UNSUPPORTED', 'SHAPE_UNKNOWN'].includes(error.code)) throw error;
      terminal.out(
        given.flag('json')
          ? JSON.stringify({ findings: findings() }, undefined, 2)
          : renderFindings(findings(), terminal.width),
      );
      throw new CliError(error.message);
    }
    const { facts, files, irVersion, producer, graphName } = model;
    if (given.flag('json')) {
      const listed = files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }));
      const shown = { irVersion, producer, graphName, facts, findings: findings(), files: listed };
      terminal.out(JSON.stringify(shown, undefined, 2));
      return;
    }
    terminal.out(`${file}${producer === '' ? '' : `, written by ${producer}`}`);
    terminal.out(renderModelFacts(facts, terminal.width));
    terminal.out(renderFindings(findings(), terminal.width));
    for (const { path, sha256 } of files) terminal.out(`  sha256 ${sha256}  ${path}`);
  },
};

function providerOf(text = 'cpu'): (typeof PROVIDERS)[number] {
  const provider = PROVIDERS.find((known) => known === text);
  if (provider !== undefined) return provider;
  throw new UsageError(`slipway model inspect: --execution-provider must be cpu, cuda or tensorrt, got '${text}'`);
}
