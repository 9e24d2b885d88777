import type { Command } from './command';

/** `slipway model inspect`: what an ONNX file says about itself, without running it. */
export const modelInspect: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: { json: { type: 'boolean', description: 'print facts and digests as JSON instead of a table' } },
  run: async (given, terminal) => {
    const { readOnnxModel } = await import('../onnx/read-onnx-model.js');
    const { renderModelFacts } = await import('./model-table.js');
    const file = given.argument('file');
    const { facts, files, irVersion, producer, graphName } = readOnnxModel(file);
    if (given.flag('json')) {
      const listed = files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }));
      terminal.out(JSON.stringify({ irVersion, producer, graphName, facts, files: listed }, undefined, 2));
      return;
    }
    terminal.out(`${file}${producer === '' ? '' : `, written by ${producer}`}`);
    terminal.out(renderModelFacts(facts, terminal.width));
    for (const { path, sha256 } of files) terminal.out(`  sha256 ${sha256}  ${path}`);
  },
};
