import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import * as runtime from '../../runtime';
import { COMMANDS } from '../../runtime/cli/commands';
import { temporaryFolder } from '../server/harness/model-repository';
import { writeDigitsRows } from '../support/digits-rows';

const root = path.join(__dirname, '../..');
const PROGRAM = path.join(root, 'docs/examples/model/every-tool.ts');

/** What each command does, as functions of `slipway/runtime`. */
const FUNCTIONS: Readonly<Record<string, readonly (keyof typeof runtime)[]>> = {
  'model cluster': ['clusterModel'],
  'model codegen': ['readClientModel', 'renderTypescriptClient', 'renderPythonClient'],
  'model compile': ['compileModel'],
  'model convert': ['convertModel'],
  'model diff': ['diffVersions'],
  'model distil': ['distilModel'],
  'model evaluate': ['openEvaluatedFile', 'openEndpoint', 'evaluateModels', 'evaluationPage'],
  'model gc': ['collectGarbage'],
  'model inspect': ['inspectModel', 'renderCostPage'],
  'model list': ['listVersions'],
  'model optimize': ['optimizeModel'],
  'model pipeline': ['runPipeline'],
  'model promote': ['promoteVersion'],
  'model prune': ['pruneModel'],
  'model publish': ['publishModel'],
  'model pull': ['pullVersion'],
  'model quantize': ['quantizeModel'],
  'model rollback': ['rollBackLabel'],
  'model search': ['searchModels'],
  'model sparsify': ['sparsifyModel'],
};

test('every command of slipway model is an exported function, which the command calls itself', () => {
  const names = COMMANDS.map(({ name }) => name).filter((name) => name.startsWith('model '));
  expect(Object.keys(FUNCTIONS)).toEqual(names.sort());
  // Two commands share what reads files and signals, and have functions around it for programs.
  const around = ['model pipeline', 'model pull'];
  for (const [name, functions] of Object.entries(FUNCTIONS)) {
    const file = name === 'model rollback' ? 'model-promote' : name.replace(' ', '-');
    const source = readFileSync(path.join(root, `runtime/cli/${file}.ts`), 'utf8');
    for (const each of functions) {
      expect(typeof runtime[each], `${name}: ${each}`).toBe('function');
      if (!around.includes(name)) expect(source, `${name}: ${each}`).toContain(each);
    }
  }
});

test('a strict program can call every one of them with its options', () => {
  const program = readFileSync(PROGRAM, 'utf8');
  // Others that commands use stand beside these: pages, endpoints.
  const called = Object.values(FUNCTIONS).flatMap((functions) =>
    functions.filter((each) => !/Page$|Endpoint$/.test(each)),
  );
  expect(called.filter((each) => !program.includes(`${each}(`))).toEqual([]);
  const folder = temporaryFolder();
  const flags = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: true };
  const options = {
    ...flags,
    noEmit: true,
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2023'],
    esModuleInterop: true,
  };
  writeFileSync(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        ...options,
        types: ['node'],
        typeRoots: [path.join(root, 'node_modules/@types')],
        paths: { 'slipway/runtime': [path.join(root, 'runtime/index.ts')] },
      },
      files: [PROGRAM, 'wrong.ts'],
    }),
  );
  // The compiler has looked, where it finds what is wrong.
  writeFileSync(
    path.join(folder, 'wrong.ts'),
    "import { runPipeline } from 'slipway/runtime';\nvoid runPipeline({ file: 'pipeline.yaml', untill: 'publish' });\n",
  );
  const compiler = path.join(root, 'node_modules/@typescript/native/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
  const complaints = stdout.split('\n').filter((line) => /^\S*(every-tool|wrong)\.ts/.test(line));
  expect(complaints).toEqual([expect.stringMatching(/wrong\.ts\(2,\d+\): error TS\d+: .*'untill'/)]);
}, 120_000);

function folderWith(steps: string): string {
  const folder = temporaryFolder();
  copyFileSync(path.join(root, 'models/digits/model.onnx'), path.join(folder, 'model.onnx'));
  writeDigitsRows(path.join(folder, 'rows.jsonl'));
  writeFileSync(
    path.join(folder, 'pipeline.yaml'),
    `model: digits\nsource: model.onnx\nrepository: models\nsteps:\n${steps}`,
  );
  return folder;
}

// The package's own command is a file that is built.
const tsx = pathToFileURL(require.resolve('tsx')).href;
const program = [process.execPath, '--import', tsx, path.join(root, 'runtime/cli/bin.ts')] as const;

test('a program runs a pipeline, hears what steps say, and gets the version', async () => {
  const file = path.join(folderWith('  - inspect\n  - publish\n'), 'pipeline.yaml');
  const lines: string[] = [];
  const run = await runtime.runPipeline({ file, program, onLine: (line) => lines.push(line) });
  expect(run).toMatchObject({ version: 1, outcomes: [{ name: 'inspect', status: 'passed' }, { name: 'publish' }] });
  expect(run.failure).toBeUndefined();
  expect(lines).toContain('publish: passed, 0.0 s'.replace(/[\d.]+/, /([\d.]+) s$/.exec(lines.at(-1)!)![1]!));
  const again = await runtime.runPipeline({ file, program, from: 'publish', work: `${path.dirname(file)}/other` });
  expect(again.failure).toMatchObject({
    exitCode: 1,
    message: expect.stringContaining('is not recorded as it is now'),
  });
});

test('a program that ends a pipeline ends its step, and the step after it is not begun', async () => {
  const steps = '  - evaluate: { data: rows.jsonl, task: classification, speed-seconds: 100 }\n  - publish\n';
  const file = path.join(folderWith(steps), 'pipeline.yaml');
  const controller = new AbortController();
  const { outcomes, failure } = await runtime.runPipeline({
    file,
    program,
    signal: controller.signal,
    onLine: (line) => void (line.includes('round 1 of') && controller.abort()),
  });
  expect(outcomes.map(({ status }) => status)).toEqual(['failed', 'skipped']);
  expect(failure!.message).toContain('step evaluate ended with exit status 1; nothing was published');
  const before = await runtime.runPipeline({ file, program, signal: AbortSignal.abort() });
  expect(before.failure!.message).toContain('step evaluate was not begun: the run was ended; nothing was published');
});
