import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { COMMANDS } from '../../runtime/cli/commands';
import { COMMANDS_EVERYWHERE } from '../../runtime/cli/commands-everywhere';
import { STEP_RULES } from '../../runtime/cli/pipeline/pipeline-rules';
import { pipelineSchema } from '../../runtime/cli/pipeline/pipeline-schema';
import { knownFields, readPipeline } from '../../runtime/cli/pipeline/read-pipeline';
import { stepCommands, type StepCommand } from '../../runtime/cli/pipeline/step-command';
import { keyOfStep, makeRoom, recordStep } from '../../runtime/cli/pipeline/step-record';
import { temporaryFolder } from '../server/harness/model-repository';
import { writeDigitsRows } from '../support/digits-rows';
import { slipway } from './terminal';

const root = path.join(__dirname, '../..');
const tsx = pathToFileURL(require.resolve('tsx')).href;
const EVALUATE = 'data: rows.jsonl, task: classification, no-speed: true';

/** A folder with the sample model, labelled rows and a pipeline of these steps. */
function folderWith(steps: string, { head = 'source: model.onnx\nrepository: models\n', mislabelled = 0 } = {}) {
  const folder = temporaryFolder();
  copyFileSync(path.join(root, 'models/digits/model.onnx'), path.join(folder, 'model.onnx'));
  writeDigitsRows(path.join(folder, 'rows.jsonl'), { mislabelled });
  writeFileSync(path.join(folder, 'pipeline.yaml'), `model: digits\n${head}steps:\n${steps}`);
  return folder;
}

interface Printed {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly steps: Readonly<Record<string, string>>;
}

/** Steps are processes of the very program that was started, so it is started here as a user does. */
function run(folder: string, ...flags: string[]): Printed {
  const argv = ['--import', tsx, path.join(root, 'runtime/cli/bin.ts'), 'model', 'pipeline', 'pipeline.yaml'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...argv, ...flags, '--json'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
  });
  const steps = stdout.startsWith('{')
    ? (JSON.parse(stdout) as { steps: { name: string; status: string }[] }).steps
    : [];
  return { status, stdout, stderr, steps: Object.fromEntries(steps.map((step) => [step.name, step.status])) };
}

const manifestOf = (folder: string, version: number) =>
  JSON.parse(readFileSync(path.join(folder, `models/digits/${version}/manifest.json`), 'utf8')) as {
    evaluation: { passed: boolean; gates: { metric: string }[] };
    provenance: { source: { path: string }[]; steps: { command: string; outputs: { sha256: string }[] }[] };
    files: { path: string; sha256: string }[];
  };

describe('a run', () => {
  const STEPS = `
  - inspect
  - cluster: { samples: rows.jsonl }
  - evaluate: { ${EVALUATE}, min-accuracy: 95%, compare: $source, max-drop: 2% }
  - publish
  - promote: { label: production }
`;

  test('leads from a model to a version with a label, and the evidence of all steps is in its manifest', () => {
    const folder = folderWith(STEPS);
    const { status, steps, stderr } = run(folder);
    expect(status, stderr).toBe(0);
    expect(Object.values(steps)).toEqual(['passed', 'passed', 'passed', 'passed', 'passed']);
    const { evaluation, provenance } = manifestOf(folder, 1);
    expect(evaluation.passed).toBe(true);
    expect(evaluation.gates.map(({ metric }) => metric)).toEqual(['accuracy', 'drop']);
    expect(provenance.source.map((file) => file.path)).toEqual(['model.onnx']);
    expect(provenance.steps.map(({ command }) => command.split(' ').slice(0, 3).join(' '))).toEqual([
      'slipway model cluster',
    ]);
    const labels = JSON.parse(readFileSync(path.join(folder, 'models/digits/version-labels.json'), 'utf8'));
    expect(JSON.stringify(labels)).toContain('production');

    const again = run(folder);
    // Somebody else may have moved the label meanwhile, so that step alone is run.
    expect(again.steps).toEqual({
      inspect: 'unchanged',
      cluster: 'unchanged',
      evaluate: 'unchanged',
      publish: 'unchanged',
      promote: 'passed',
    });
    expect(existsSync(path.join(folder, 'models/digits/2'))).toBe(false);

    writeFileSync(path.join(folder, '.slipway/pipelines/digits/cluster/model/model.onnx'), 'something else');
    expect(run(folder, '--until', 'cluster').steps).toEqual({ inspect: 'unchanged', cluster: 'passed' });

    appendFileSync(path.join(folder, 'rows.jsonl'), readFileSync(path.join(folder, 'rows.jsonl'), 'utf8'));
    const refused = run(folder, '--from', 'publish');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('step cluster comes before publish and is not recorded as it is now');
    expect(run(folder, '--until', 'evaluate').steps).toEqual({
      inspect: 'unchanged',
      cluster: 'passed',
      evaluate: 'passed',
    });
    expect(run(folder, '--from', 'publish').steps).toMatchObject({ evaluate: 'unchanged', publish: 'passed' });
    expect(existsSync(path.join(folder, 'models/digits/2/manifest.json'))).toBe(true);
  });

  test('ends at a closed gate with status 4, and nothing is published', () => {
    const folder = folderWith(`  - evaluate: { ${EVALUATE}, min-accuracy: 99% }\n  - publish\n`, { mislabelled: 5 });
    const { status, steps, stderr } = run(folder);
    expect(status).toBe(4);
    expect(steps).toEqual({ evaluate: 'closed', publish: 'skipped' });
    expect(stderr.trim().split('\n').at(-1)).toMatch(
      /^error: pipeline\.yaml:5: step evaluate closed the gate; nothing was published: GATE_FAILED \S+: accuracy must be at least 0\.99, got 0\.\d+$/,
    );
    expect(existsSync(path.join(folder, 'models'))).toBe(false);
  });

  test('ends with the exit status of a step that failed', () => {
    const folder = folderWith('  - inspect: { file: $source }\n  - publish\n');
    writeFileSync(path.join(folder, 'model.onnx'), 'no model');
    const { status, steps, stdout, stderr } = run(folder);
    expect(status).toBe(3);
    expect(steps).toEqual({ inspect: 'failed', publish: 'skipped' });
    const [, said] = /"error": "(.*)"/.exec(stdout)!;
    expect(stderr.trim().split('\n').at(-1)).toBe(
      `error: pipeline.yaml:5: step inspect ended with exit status 3; nothing was published: ${said!}`,
    );
  });

  test('is refused where another one uses its folder, and not where that one was killed', () => {
    const folder = folderWith('  - inspect\n');
    const work = path.join(folder, '.slipway/pipelines/digits');
    mkdirSync(work, { recursive: true });
    writeFileSync(path.join(work, 'running'), String(process.pid));
    const refused = run(folder);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(`is used by another run (process ${process.pid})`);
    writeFileSync(path.join(work, 'running'), '999999999');
    expect(run(folder).status).toBe(0);
  });
});

test('a search hands on the model that it chose, with its evaluation, and goes on where it ended', () => {
  const search = 'data: rows.jsonl, recipes: recipes.yaml, speed-seconds: 0.05, prefer: size';
  const folder = folderWith(`  - search: { ${search}, max-accuracy-drop: 5% }\n  - inspect\n  - publish\n`);
  const recipe = (name: string, step: string) => `  - { name: ${name}, steps: [{ ${step} }] }\n`;
  const recipes = `recipes:\n${recipe('shared', 'do: cluster, clusters: 16')}`;
  writeFileSync(path.join(folder, 'recipes.yaml'), recipes);
  const { status, steps, stderr } = run(folder);
  expect(status, stderr).toBe(0);
  expect(steps).toEqual({ search: 'passed', inspect: 'passed', publish: 'passed' });
  const { evaluation, provenance, files } = manifestOf(folder, 1);
  expect(evaluation).toMatchObject({ passed: true, gates: [{ metric: 'drop' }] });
  expect(provenance.steps.map(({ command }) => command)).toEqual([
    'slipway model cluster --clusters 16',
    'slipway model search --data rows.jsonl, which chose shared',
  ]);
  const left = path.join(folder, '.slipway/pipelines/digits/search/model');
  const { rows, chosenFiles } = JSON.parse(readFileSync(path.join(left, 'search.json'), 'utf8')) as {
    rows: { name: string }[];
    chosenFiles: string[];
  };
  expect(rows.map(({ name }) => name)).toEqual(['source', 'shared']);
  expect(chosenFiles.filter((each) => !existsSync(path.join(left, each)))).toEqual([]);
  expect(files[0]).toMatchObject({ path: 'model.onnx', sha256: provenance.steps.at(-1)!.outputs[0]!.sha256 });

  expect(run(folder).steps).toEqual({ search: 'unchanged', inspect: 'unchanged', publish: 'unchanged' });
  writeFileSync(
    path.join(folder, 'recipes.yaml'),
    recipes + recipe('thinner', 'do: prune, method: magnitude, sparsity: 0.5'),
  );
  const again = run(folder, '--until', 'search');
  expect(again.steps).toEqual({ search: 'passed' });
  // What the first run tried is only timed again.
  expect(again.stderr).toContain('recipe 2 of 2: thinner');
  expect(again.stderr.match(/comparing it with its source/g)).toHaveLength(1);
  writeFileSync(
    path.join(folder, 'pipeline.yaml'),
    `model: digits\nsource: model.onnx\nrepository: models\nsteps:\n  - search: { ${search}, max-size: 1KiB }\n  - publish\n`,
  );
  const closed = run(folder);
  expect(closed.status).toBe(4);
  expect(closed.steps).toEqual({ search: 'closed', publish: 'skipped' });
  expect(closed.stderr).toContain('pipeline.yaml:5: step search closed the gate; nothing was published');
});

test('a training that was ended is gone on with by the same options and files, and with others it begins anew', async () => {
  const folder = folderWith('  - distil: { student: s.py:build, data: rows.jsonl, validation: rows.jsonl }\n');
  const pipeline = await readPipeline(path.join(folder, 'pipeline.yaml'), COMMANDS);
  const [step] = stepCommands(pipeline, path.join(folder, 'work')) as [StepCommand];
  // Where distil keeps its state unless told: <output>.checkpoint.
  const output = step.argv.find((word) => word.startsWith('--output='))!.slice('--output='.length);
  const state = path.join(`${output}.checkpoint`, 'checkpoint.pt');
  makeRoom(step, 'one');
  mkdirSync(path.dirname(state));
  writeFileSync(state, 'weights');
  makeRoom(step, 'one');
  expect(existsSync(state)).toBe(true);
  makeRoom(step, 'other');
  expect(existsSync(state)).toBe(false);
  mkdirSync(output);
  await recordStep(step, 'other');
  makeRoom(step, 'other');
  // Done is not ended: what it left would be in the way.
  expect(existsSync(output)).toBe(false);
});

test('a step depends on the tokenizer that its preprocessing names', async () => {
  const folder = folderWith('  - publish: { preprocessing: text.json }\n');
  const [step] = stepCommands(
    await readPipeline(path.join(folder, 'pipeline.yaml'), COMMANDS),
    path.join(folder, 'work'),
  ) as [StepCommand];
  const write = (name: string, value: unknown) => writeFileSync(path.join(folder, name), JSON.stringify(value));
  write('text.json', { kind: 'text', tokenizer: 'words/tokenizer.json' });
  mkdirSync(path.join(folder, 'words'));
  write('words/tokenizer.json', { model: { vocab: {} } });
  const before = await keyOfStep(step, step.argv, folder);
  expect(await keyOfStep(step, step.argv, folder)).toBe(before);
  write('words/tokenizer.json', { model: { vocab: { a: 0 } } });
  const after = await keyOfStep(step, step.argv, folder);
  expect(after).not.toBe(before);
  write('text.json', { words: { kind: 'text', tokenizer: 'words/tokenizer.json' } });
  const named = await keyOfStep(step, step.argv, folder);
  write('words/tokenizer.json', { model: { vocab: {} } });
  expect(await keyOfStep(step, step.argv, folder)).not.toBe(named);
});

test('a version that somebody deleted is published again', () => {
  const folder = folderWith('  - publish\n');
  expect(run(folder).steps).toEqual({ publish: 'passed' });
  expect(run(folder).steps).toEqual({ publish: 'unchanged' });
  rmSync(path.join(folder, 'models'), { recursive: true });
  expect(run(folder).steps).toEqual({ publish: 'passed' });
  expect(manifestOf(folder, 1).files[0]!.path).toBe('model.onnx');
});

test('SIGTERM ends the step that runs, and the run; nothing is left in the way of the next', async () => {
  const folder = folderWith(
    `  - evaluate: { data: rows.jsonl, task: classification, speed-seconds: 100 }\n  - publish\n`,
  );
  const argv = ['--import', tsx, path.join(root, 'runtime/cli/bin.ts'), 'model', 'pipeline', 'pipeline.yaml'];
  const child = spawn(process.execPath, argv, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    const isMeasuring = said.includes('round 1 of');
    said += String(text);
    if (!isMeasuring && said.includes('round 1 of')) child.kill('SIGTERM');
  });
  const [status] = (await once(child, 'close')) as [number | null];
  expect(status).toBe(1);
  expect(said).toContain('ended by SIGTERM');
  expect(said).toContain('step evaluate ended with exit status 1; nothing was published');
  expect(existsSync(path.join(folder, '.slipway/pipelines/digits/running'))).toBe(false);
  expect(existsSync(path.join(folder, '.slipway/pipelines/digits/evaluate/step.json'))).toBe(false);
}, 60_000);

describe('the commands', () => {
  const dryRun = async (steps: string, head?: string, ...flags: string[]) => {
    const folder = folderWith(steps, head === undefined ? {} : { head });
    const { stdout, stderr } = await slipway(
      ...['model', 'pipeline', path.join(folder, 'pipeline.yaml'), '--dry-run', '--work', '/w', ...flags],
    );
    return `${stdout}${stderr}`.replaceAll(folder, '').trim().split('\n').slice(1);
  };

  test('hand each model to the next, and a published version to who needs one', async () => {
    const lines = await dryRun(
      `  - convert: { input: ['image=float32[batch,1,8,8]'], opset: 18 }
  - prune: { method: '2:4', exclude: [a, b] }
  - evaluate: { data: rows.npz, task: classification, compare: $convert, max-drop: 1% }
  - evaluate: { model: $convert, data: rows.npz, task: classification }
  - publish: { sbom: true, no-golden: false }
  - promote: { label: canary }
`,
      'source: net.py:build\nrepository: s3://models\n',
    );
    expect(lines).toEqual([
      "slipway model convert net.py:build '--input=image=float32[batch,1,8,8]' --opset=18 --output=/w/convert/model/model.onnx --report=/w/convert/report.json",
      'slipway model prune /w/convert/model/model.onnx --method=2:4 --exclude=a --exclude=b --output=/w/prune/model/model.onnx --report=/w/prune/report.json',
      'slipway model evaluate /w/prune/model/model.onnx --data=rows.npz --task=classification --compare=/w/convert/model/model.onnx --max-drop=1% --report=/w/evaluate/report.json',
      'slipway model evaluate /w/convert/model/model.onnx --data=rows.npz --task=classification --report=/w/evaluate-2/report.json',
      'slipway model publish /w/prune/model/model.onnx s3://models --sbom --evaluation=/w/evaluate/report.json --manifest-file=/w/publish/manifest.json --name=digits',
      "slipway model promote s3://models digits '<version>' canary",
    ]);
  });

  test('are printed as JSON for machines', async () => {
    const folder = folderWith('  - inspect: { batch: 8 }\n');
    const file = path.join(folder, 'pipeline.yaml');
    const { stdout } = await slipway('model', 'pipeline', file, '--dry-run', '--json');
    expect(JSON.parse(stdout)).toEqual({
      model: 'digits',
      folder,
      steps: [{ step: 'inspect', command: ['slipway', 'model', 'inspect', 'model.onnx', '--batch=8'] }],
    });
  });

  test('take another repository from the command line', async () => {
    const [line] = await dryRun('  - promote: { version: 3, label: canary }\n', '', '--repository', 'gs://other');
    expect(line).toBe('slipway model promote gs://other digits 3 canary');
  });

  test('end where somebody says, without what later steps need', async () => {
    const steps = '  - inspect\n  - publish\n';
    expect(await dryRun(steps, 'source: a.onnx\n', '--until', 'inspect')).toEqual(['slipway model inspect a.onnx']);
    const asked = (...flags: string[]) => {
      const folder = folderWith(steps);
      return slipway('model', 'pipeline', path.join(folder, 'pipeline.yaml'), ...flags);
    };
    expect(await asked('--until', 'inspekt')).toMatchObject({
      status: 2,
      stderr: "error: slipway model pipeline: --until: no step 'inspekt', the nearest one is inspect\n",
    });
    expect((await asked('--from', 'publish', '--until', 'inspect')).stderr).toContain(
      '--from publish comes after --until inspect',
    );
  });

  test('are those that the package has, with arguments of the same names', async () => {
    for (const [verb, rule] of Object.entries(STEP_RULES)) {
      const command = await COMMANDS.find(({ name }) => name === `model ${verb}`)!.load();
      const names = command.arguments.map(({ name }) => name);
      expect(names, verb).toEqual(expect.arrayContaining(Object.keys(rule.fills)));
      expect(
        rule.own.filter((flag) => flag !== 'report' && !Object.hasOwn(command.options, flag)),
        verb,
      ).toEqual([]);
    }
  });
});

describe('a file', () => {
  const refusal = async (text: string, commands = COMMANDS) => {
    const file = path.join(temporaryFolder(), 'pipeline.yaml');
    writeFileSync(file, text);
    try {
      const pipeline = await readPipeline(file, commands);
      stepCommands(pipeline, '/w');
    } catch (error) {
      expect((error as { exitCode?: number }).exitCode).toBe(3);
      return (error as Error).message.replace(`${path.dirname(file)}/`, '');
    }
    return 'nothing was refused';
  };
  const steps = (text: string) => `model: digits\nsource: a.onnx\nsteps:\n${text}`;

  test.each([
    ['a field that there is not', 'modle: digits\n', "1: no field 'modle', the nearest one is model"],
    ['a name that no model has', 'model: ../x\nsteps: [inspect]\n', '1: '],
    ['no steps', 'model: digits\nsteps: []\n', '2: steps must be a list of one or more steps'],
    [
      'a step that there is not',
      steps('  - inspect\n  - quantise: {}\n'),
      "5: no step 'quantise', the nearest one is quantize",
    ],
    ['two commands in a step', steps('  - inspect:\n    publish:\n'), '4: a step must be one command with its options'],
    [
      'an option that the command has not',
      steps('  - quantize:\n      mod: static\n'),
      "5: quantize has no option 'mod', the nearest one is mode",
    ],
    [
      'an option that the pipeline gives',
      steps('  - quantize:\n      output: x.onnx\n'),
      '5: --output of quantize is what the pipeline itself decides',
    ],
    ['an option that must be there', steps('  - evaluate: { data: x.npz }\n'), "4: evaluate needs 'task'"],
    [
      'a search that would choose nothing',
      steps('  - search: { data: x }\n'),
      '4: search needs one of max-accuracy-drop, max-latency, max-size, by which it chooses a model',
    ],
    ['an argument that must be there', steps('  - distil: { data: x, validation: y }\n'), "4: distil needs 'student'"],
    [
      'a list where one value is meant',
      steps('  - quantize: { mode: [a] }\n'),
      '4: mode must be one value, not a list',
    ],
    ['a text where a flag is meant', steps('  - inspect: { json: yes please }\n'), '4: json must be true or false'],
    [
      'a model of a later step',
      steps('  - evaluate: { data: x, task: y, compare: $prune }\n'),
      '4: $prune is no model that is there before this step',
    ],
    ['no model', 'model: digits\nsteps:\n  - inspect\n', '3: inspect needs a model: write source:'],
    ['no repository', steps('  - publish\n'), '4: publish needs repository:'],
    [
      'a gate before the last change of what is published',
      steps('  - evaluate: { data: x, task: y }\n  - compile\n  - publish: { model-repository: r }\n'),
      '6: publish takes the model of compile, which no evaluate before it looked at, so its manifest would have no evidence: evaluate it after compile, or give evaluation:',
    ],
    ['no version', 'model: a\nrepository: r\nsteps:\n  - promote: { label: b }\n', '4: promote needs a version'],
    ['a value that is nothing', steps('  - evaluate:\n      data:\n'), '5: data must be a text or a number'],
    ['a file that is no YAML', 'model: [\n', '2: '],
  ])('with %s is refused with its line', async (_what, text, said) => {
    expect(await refusal(text)).toContain(`pipeline.yaml:${said}`);
  });

  test('with a step that the image cannot run is refused before anything runs', async () => {
    expect(await refusal(steps('  - quantize: { mode: dynamic }\n'), COMMANDS_EVERYWHERE)).toBe(
      'pipeline.yaml:4: step quantize needs Python, which the server image does not have: run it where the package is installed, and its result here',
    );
  });

  test('as the page shows it can be read, and what the page links to is there', async () => {
    const page = (name: string) => readFileSync(path.join(root, 'docs/model', name), 'utf8');
    const [, shown] = /```yaml\n([\s\S]*?)```/.exec(page('pipeline.md'))!;
    expect(await refusal(shown!)).toBe('nothing was refused');
    for (const name of ['pipeline.md', 'ci.md']) {
      for (const [, target] of page(name).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
        expect(existsSync(path.join(root, 'docs/model', target!)), target).toBe(true);
      }
      for (const verb of Object.keys(STEP_RULES)) expect(page('pipeline.md')).toContain(`\`${verb}\``);
    }
  });

  test('that is not there is refused', async () => {
    await expect(readPipeline('/nowhere/p.yaml', COMMANDS)).rejects.toThrow('/nowhere/p.yaml: does not exist');
  });
});

describe('the schema of pipeline files', () => {
  // The linter brings it; any validator of draft 7 would do.
  const Ajv = createRequire(require.resolve('eslint'))('ajv') as new (options?: object) => {
    compile(schema: object): (value: unknown) => boolean;
  };

  test('is the file that is published', async () => {
    const schema = `${JSON.stringify(await pipelineSchema(COMMANDS), undefined, 2)}\n`;
    await expect(schema).toMatchFileSnapshot('../../docs/pipeline.schema.json');
    const { exports, files } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    expect(exports['./pipeline.schema.json']).toBe('./docs/pipeline.schema.json');
    expect(files).toContain('docs/pipeline.schema.json');
  });

  test('takes what the reader takes, and refuses what it refuses', async () => {
    const validate = new Ajv().compile(await pipelineSchema(COMMANDS));
    const document = (step: string) => parse(`model: a\nsource: b\nsteps:\n  - ${step}\n`) as unknown;
    for (const step of ['inspect', 'publish:', 'quantize: { mode: dynamic, exclude: [a] }', 'promote: { label: x }']) {
      expect(validate(document(step)), step).toBe(true);
    }
    expect(validate(document('search: { data: x, max-size: 1MiB }'))).toBe(true);
    for (const step of [
      'search: { data: x }',
      'quantise: {}',
      'evaluate',
      'quantize: { mod: a }',
      'promote: {}',
      'quantize: { output: a }',
    ]) {
      expect(validate(document(step)), step).toBe(false);
    }
  });

  test('knows every flag that a step may have', async () => {
    const evaluate = await COMMANDS.find(({ name }) => name === 'model evaluate')!.load();
    const fields = knownFields(STEP_RULES['evaluate']!, evaluate);
    expect(fields.size).toBe(evaluate.arguments.length + Object.keys(evaluate.options).length - 2);
  });
});
