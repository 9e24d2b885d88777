const OUTPUT = 'test/model/write-output.test.ts';
const EDIT = 'test/onnx/edit/editable-model.test.ts';
const KEPT = 'test/model/prune/kept-channels.test.ts';
const CHANNELS = 'test/model/prune/channels.test.ts';
const ZEROS = 'test/model/prune/zero-weights.test.ts';
const COMPARE = 'test/model/compare/compare-models.test.ts';
const SMALLER = 'test/model/compress/smaller-files.test.ts';

export const MUTANTS = [
  {
    name: 'an output that is there is replaced without being asked',
    file: 'runtime/model/write-output.ts',
    find: 'if (overwrite) return;',
    replace: 'return;',
    test: { file: OUTPUT, name: 'is refused before any work when it is there' },
  },
  {
    name: 'a signal leaves half an output behind',
    file: 'runtime/model/clear-away.ts',
    find: 'function endBySignal(signal: NodeJS.Signals): void {\n  clearAll();',
    replace: 'function endBySignal(signal: NodeJS.Signals): void {',
    test: { file: OUTPUT, name: 'leaves nothing when the process gets SIGTERM' },
  },
  {
    name: 'external data of a model that is changed may lie anywhere',
    file: 'runtime/onnx/edit/editable-model.ts',
    find: '  findExternalFiles(tensors, path);\n',
    replace: '',
    test: { file: EDIT, name: 'refuses external data behind a link' },
  },
  {
    name: 'fields of a later ONNX are lost',
    file: 'runtime/onnx/edit/editable-model.ts',
    find: 'keepUnknownFields: true',
    replace: 'keepUnknownFields: false',
    test: { file: EDIT, name: 'keeps fields of a later ONNX' },
  },
  {
    name: 'a model that differs too much is accepted',
    file: 'runtime/model/compare/acceptance.ts',
    find: '!(maxRelative <= tolerance)',
    replace: 'maxRelative < 0',
    test: { file: COMPARE, name: 'the verdict on a changed model' },
  },
  {
    name: 'an output that is no number is as good as another',
    file: 'runtime/model/compare/compare-models.ts',
    find: 'worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference);',
    replace: 'worst = Math.max(worst, Number.isNaN(difference) ? 0 : difference);',
    test: { file: COMPARE, name: 'are infinitely far apart where one has no number' },
  },
  {
    name: 'channels that a subgraph takes may go',
    file: 'runtime/model/prune/channels/channel-graph.ts',
    find: "if (this.index.captured.has(name)) this.sets.keep(followed.channels, `a subgraph takes '${name}'`);",
    replace: '',
    test: { file: KEPT, name: 'where a subgraph takes them' },
  },
  {
    name: 'a constant that somebody else takes is cut',
    file: 'runtime/model/prune/channels/channel-graph.ts',
    find: 'if (stranger !== undefined) this',
    replace: 'if (stranger === null) this',
    test: { file: KEPT, name: 'where a constant of theirs is taken by something else, too' },
  },
  {
    name: 'a number of channels that the graph computes with may change',
    file: 'runtime/model/prune/channels/follow-channels.ts',
    find: "if (node.opType !== 'Concat' && !looked.includes(i)) graph",
    replace: 'if (i < 0) graph',
    test: { file: KEPT, name: 'where their number says how much' },
  },
  {
    name: 'channels that are added to each other go one by one',
    file: 'runtime/model/prune/channels/elementwise-rules.ts',
    find: 'if (one.channels.length === channels.length) graph.sets.tie(channels, one.channels);',
    replace: 'if (one.channels.length === channels.length) continue;',
    test: { file: CHANNELS, name: 'gives what its source gives when nobody takes them: residual' },
  },
  {
    name: 'more weights are zero than asked for',
    file: 'runtime/model/prune/smallest-magnitudes.ts',
    find: 'if (bits[i]! === cut.bits && cut.ties-- <= 0) continue;',
    replace: '',
    test: { file: ZEROS, name: 'finds the same as sorting' },
  },
  {
    name: 'the sign of a zero is lost',
    file: 'runtime/onnx/edit/sparse-initializers.ts',
    find: 'for (let i = start; i < start + size; i++)',
    replace: 'for (let i = start; i < start + size - 1; i++)',
    test: { file: SMALLER, name: 'where a zero has a sign' },
  },
];
