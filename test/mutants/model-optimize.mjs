// How far a changed model may be from its source, what ranges are found on, and what timing costs.
const ACCEPTANCE = 'test/model/compare/acceptance.test.ts';
const COMPARE = 'test/model/compare/compare-models.test.ts';
const PRUNE = 'test/model/prune/prune-model.test.ts';
const BATCHES = 'test/model/optimize/calibration-batches.test.ts';
const QUANTIZE = 'test/model/optimize/quantize-model.test.ts';
const SPEED = 'test/model/measure/measure-speed.test.ts';
const SEARCH = 'test/model/search/search-limits.test.ts';

export const MUTANTS = [
  {
    name: 'acceptance: a model is written that is further away than was declared',
    file: 'runtime/model/optimize/rewrite-model.ts',
    find: '    assertAcceptable(comparison, acceptance, output);\n',
    replace: '',
    test: { file: ACCEPTANCE, name: 'beyond its declared tolerance leaves nothing' },
  },
  {
    name: 'acceptance: a difference that is no number is small',
    file: 'runtime/model/compare/acceptance.ts',
    find: '!(maxRelative <= tolerance)',
    replace: 'maxRelative > tolerance',
    test: { file: COMPARE, name: 'takes what is no number for too far' },
  },
  {
    name: 'acceptance: rows in another class are no reason',
    file: 'runtime/model/compare/acceptance.ts',
    find: '!(agreement >= minAgreement)',
    replace: 'agreement < 0',
    test: { file: COMPARE, name: 'the verdict on a changed model' },
  },
  {
    name: 'acceptance: a declared tolerance is joined by what nobody asked for',
    file: 'runtime/model/compare/acceptance.ts',
    find: 'return { ...(tolerance === undefined ? {} : { tolerance }), ',
    replace: 'return { ...otherwise, ...(tolerance === undefined ? {} : { tolerance }), ',
    test: { file: PRUNE, name: 'when { tolerance: 0.3 } is given' },
  },
  {
    name: 'acceptance: an agreement of outputs without classes lets everything through',
    file: 'runtime/model/compare/acceptance.ts',
    find: 'if (tolerance === undefined && agreement === undefined) {',
    replace: 'if (tolerance === null) {',
    test: { file: PRUNE, name: 'is no agreement where nothing has classes' },
  },
  {
    name: 'calibration: static ranges are found on nothing',
    file: 'runtime/model/optimize/quantize-model.ts',
    find: "if (mode === 'static' && calibration === undefined) {",
    replace: "if (mode === 'static' && calibration === '') {",
    test: { file: QUANTIZE, name: 'what cannot be quantized is refused in one sentence' },
  },
  {
    name: 'calibration: a batch that the model does not take is written',
    file: 'runtime/model/optimize/calibration-batches.ts',
    find: '    if (batch.rows !== size && !isBatchable(facts)) break;\n',
    replace: '',
    test: { file: BATCHES, name: 'on whole batches, and on nothing less' },
  },
  {
    name: 'calibration: batches are of several sizes',
    file: 'runtime/model/optimize/calibration-batches.ts',
    find: '    if (batch.rows !== size && batches > 0) continue;\n',
    replace: '',
    test: { file: BATCHES, name: 'in batches of one size' },
  },
  {
    name: 'calibration: more rows are taken than somebody allows',
    file: 'runtime/model/optimize/calibration-batches.ts',
    find: '    maxRows,\n    ...(preprocessing',
    replace: '    ...(preprocessing',
    test: { file: BATCHES, name: 'no more rows than it is told' },
  },
  {
    name: 'calibration: ranges are found on other pictures than are served',
    file: 'runtime/model/optimize/calibration-batches.ts',
    find: '...(preprocessing === undefined ? {} : { preprocessing }),',
    replace: '',
    test: { file: QUANTIZE, name: 'calibrated on pictures with their preprocessing' },
  },
  {
    name: 'search: every candidate is open while one is timed',
    file: 'runtime/model/measure/measure-speed.ts',
    find: '    await this.measured.rest?.();\n',
    replace: '',
    test: { file: SPEED, name: 'are open one at a time' },
  },
  {
    name: 'search: a folder with other things in it is written into',
    file: 'runtime/model/search/search-models.ts',
    find: '  if (stranger === undefined) return;\n',
    replace: '  if (stranger !== null) return;\n',
    test: { file: SEARCH, name: 'a folder that has other things in it' },
  },
  {
    name: 'search: text on the page is markup',
    file: 'runtime/model/search/search-page.ts',
    find: 'escapeMarkup(describeSteps(row.steps))',
    replace: 'describeSteps(row.steps)',
    test: { file: SEARCH, name: 'are no markup on the page' },
  },
];
