import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { parse } from 'yaml';
import { writeDigitsRows } from '../support/digits-rows';
import { toolOnPath } from '../support/tools';

// Each step is a process, and each step of a pipeline another one.
vi.setConfig({ testTimeout: 180_000 });

const root = path.join(__dirname, '../..');
const templates = path.join(root, 'ci-templates');
const template = (name: string): string => readFileSync(path.join(templates, name), 'utf8');

const PIPELINE = `model: digits
source: model.onnx
steps:
  - evaluate: { data: rows.jsonl, task: classification, min-accuracy: 95%, no-speed: true }
  - publish
`;

/** A project as its author has it: a lock file, from which npm ci installs the package without a registry. */
function project(mislabelled = 0): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-ci-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(path.join(folder, 'kit'));
  const bin = path.join(folder, 'kit/slipway');
  const tsx = pathToFileURL(require.resolve('tsx')).href;
  writeFileSync(bin, `#!/bin/sh\nexec "${process.execPath}" --import ${tsx} "${root}/runtime/cli/bin.ts" "$@"\n`);
  chmodSync(bin, 0o755);
  const json = (file: string, value: object) => writeFileSync(path.join(folder, file), JSON.stringify(value));
  json('kit/package.json', { name: 'slipway', version: '0.1.0', bin: { slipway: 'slipway' } });
  const described = { name: 'project', version: '1.0.0', dependencies: { slipway: 'file:kit' } };
  json('package.json', described);
  json('package-lock.json', {
    ...described,
    lockfileVersion: 3,
    packages: {
      '': described,
      kit: { name: 'slipway', version: '0.1.0', bin: { slipway: 'slipway' } },
      'node_modules/slipway': { resolved: 'kit', link: true },
    },
  });
  copyFileSync(path.join(root, 'models/digits/model.onnx'), path.join(folder, 'model.onnx'));
  writeDigitsRows(path.join(folder, 'rows.jsonl'), { mislabelled });
  writeFileSync(path.join(folder, 'pipeline.yaml'), PIPELINE);
  return folder;
}

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

function run(command: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): Ran {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, ...env },
  });
  return { status, output: `${stdout}${stderr}` };
}

/** Scripts one after the other, as runners do: the first that fails ends the job. */
function runAll(scripts: readonly string[], folder: string, env: Readonly<Record<string, string>>): Ran {
  let output = '';
  for (const script of scripts) {
    const ran = run('bash', ['-e', '-c', script], folder, env);
    output += ran.output;
    if (ran.status !== 0) return { status: ran.status, output };
  }
  return { status: 0, output };
}

// Files that a folder, two stars and an ending name, as all three services read it.
function matching(folder: string, pattern: string): readonly string[] {
  const [, below, ending] = /^(.+)\/\*\*\/\*(\.\w+)$/.exec(pattern)!;
  const files = readdirSync(path.join(folder, below!), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith(ending!)).map((file) => `${below!}/${file}`);
}

const published = (folder: string, version: number) =>
  existsSync(path.join(folder, `models/digits/${version}/manifest.json`));
const labels = (folder: string): string => readFileSync(path.join(folder, 'models/digits/version-labels.json'), 'utf8');

test('the templates are in the package', () => {
  const { files } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { files: string[] };
  expect(files).toContain('ci-templates');
});

describe('GitHub Actions', () => {
  interface Workflow {
    readonly permissions: object;
    readonly env: Readonly<Record<string, string>>;
    readonly jobs: Readonly<
      Record<
        string,
        {
          readonly permissions?: object;
          readonly environment?: string;
          readonly env?: object;
          readonly 'timeout-minutes': number;
          readonly steps: readonly {
            readonly run?: string;
            readonly uses?: string;
            readonly if?: string;
            readonly with?: Readonly<Record<string, unknown>>;
          }[];
        }
      >
    >;
  }
  const workflow = parse(template('github.yml')) as Workflow;
  const runJob = (job: string, folder: string, env: Readonly<Record<string, string>> = {}): Ran => {
    const scripts = workflow.jobs[job]!.steps.flatMap((step) => (step.run === undefined ? [] : [step.run]));
    return runAll(scripts, folder, { ...workflow.env, MODEL_REPOSITORY: './models', ...env });
  };

  test('its steps evaluate, publish and promote', () => {
    const folder = project();
    expect(runJob('evaluate', folder)).toMatchObject({ status: 0 });
    expect(existsSync(path.join(folder, 'models'))).toBe(false);
    expect(runJob('publish', folder)).toMatchObject({ status: 0 });
    expect(published(folder, 1)).toBe(true);
    expect(runJob('promote', folder, { VERSION: '1', LABEL: 'production' })).toMatchObject({ status: 0 });
    expect(labels(folder)).toContain('production');
  });

  test('a closed gate ends the job with status 4, on a branch and on main', () => {
    const folder = project(5);
    expect(runJob('evaluate', folder).status).toBe(4);
    expect(runJob('publish', folder).status).toBe(4);
    expect(existsSync(path.join(folder, 'models'))).toBe(false);
  });

  test('no job has a right that it does not use, and no text of an event is in a script', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    expect(workflow.jobs['evaluate']!.permissions).toBeUndefined();
    for (const job of ['publish', 'promote']) {
      expect(workflow.jobs[job]!.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    }
    expect(workflow.jobs['promote']!.environment).toBe('production');
    const scripts = Object.values(workflow.jobs).flatMap(({ steps }) => steps.map((step) => step.run ?? ''));
    expect(scripts.filter((script) => script.includes('${{'))).toEqual([]);
    const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    expect(checkouts).toHaveLength(3);
    for (const checkout of checkouts) expect(checkout.with).toEqual({ 'persist-credentials': false });
  });

  test('actions are named by commit with their version beside it, and no job runs for ever', () => {
    const uses = [...template('github.yml').matchAll(/uses: (.*)$/gm)].map(([, text]) => text!);
    expect(uses.length).toBeGreaterThan(8);
    expect(uses.filter((text) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(text))).toEqual([]);
    // One action is one commit everywhere.
    expect(new Set(uses).size).toBe(new Set(uses.map((text) => text.split('@')[0])).size);
    expect(Object.values(workflow.jobs).map((job) => job['timeout-minutes'])).toEqual([60, 60, 60]);
  });

  test('reports are kept when a gate closes, and they say why', () => {
    for (const job of ['evaluate', 'publish']) {
      const last = workflow.jobs[job]!.steps.at(-1)!;
      expect(last.if).toBe('${{ !cancelled() }}');
      // The folder begins with a dot, which the action leaves out unless it is told.
      expect(last.with).toMatchObject({ 'include-hidden-files': true });
      const folder = project(5);
      expect(runJob(job, folder).status).toBe(4);
      const kept = String(last.with!['path'])
        .trim()
        .split('\n')
        .flatMap((pattern) => matching(folder, pattern));
      expect(kept).toContain('.slipway/pipelines/digits/evaluate/report.json');
      expect(kept).toContain('.slipway/pipelines/digits/evaluate/output.txt');
      expect(kept.filter((file) => file.endsWith('.onnx'))).toEqual([]);
    }
  });
});

describe('GitLab CI', () => {
  beforeEach((context) => {
    if (toolOnPath('git') === undefined) context.skip('git is not on the PATH');
  });

  /** By gitlab-ci-local, on this machine: without the line that names an image, for there may be no Docker. */
  const runOn = (
    branch: string,
    folder: string,
    jobs: readonly string[] = [],
    variables: readonly string[] = [],
  ): Ran => {
    writeFileSync(path.join(folder, '.gitlab-ci.yml'), template('gitlab-ci.yml').replace(/^ {2}image: .*\n/m, ''));
    writeFileSync(path.join(folder, '.gitignore'), 'node_modules\n.slipway\nmodels\n.gitlab-ci-local\n.tools\n');
    if (!existsSync(path.join(folder, '.git'))) run('git', ['init', '-q', '-b', 'main'], folder);
    run('git', ['checkout', '-q', '-B', branch], folder);
    run('git', ['add', '-A'], folder);
    const who = ['-c', 'user.name=author', '-c', 'user.email=author@example.com'];
    run('git', [...who, 'commit', '-q', '--allow-empty', '-m', 'state'], folder);
    const cli = path.join(root, 'node_modules/gitlab-ci-local/dist/index.js');
    const given = ['MODEL_REPOSITORY=./models', 'CI_DEFAULT_BRANCH=main', ...variables].flatMap((one) => [
      '--variable',
      one,
    ]);
    const tools = path.join(folder, '.tools');
    if (toolOnPath('rsync') === undefined) {
      // It copies the project for jobs in containers before it looks whether there are any, and here there are none.
      mkdirSync(tools, { recursive: true });
      writeFileSync(path.join(tools, 'rsync'), '#!/bin/sh\n');
      chmodSync(path.join(tools, 'rsync'), 0o755);
    }
    const settings = ['--home', folder, '--no-color', '--no-shell-isolation', ...given];
    const argv = ['--require', path.join(__dirname, 'set-methods.cjs'), cli, ...jobs, ...settings];
    return run(process.execPath, argv, folder, { PATH: `${tools}${path.delimiter}${process.env['PATH']!}` });
  };

  test('its jobs evaluate on a branch, publish from main and promote by hand', () => {
    const folder = project();
    const branch = runOn('feature', folder);
    expect(branch.status, branch.output).toBe(0);
    expect(branch.output).toContain('evaluate');
    expect(existsSync(path.join(folder, 'models'))).toBe(false);
    const main = runOn('main', folder);
    expect(main.status, main.output).toBe(0);
    expect(published(folder, 1)).toBe(true);
    // It waits for somebody.
    expect(existsSync(path.join(folder, 'models/digits/version-labels.json'))).toBe(false);
    expect(existsSync(path.join(folder, '.slipway-id-token'))).toBe(false);
    const promoted = runOn('main', folder, ['promote'], ['VERSION=1']);
    expect(promoted.status, promoted.output).toBe(0);
    expect(labels(folder)).toContain('production');
  });

  test('a closed gate fails the job, and nothing is published', () => {
    const folder = project(5);
    const { status, output } = runOn('main', folder);
    expect(status).not.toBe(0);
    expect(output).toContain('step evaluate closed the gate; nothing was published');
    expect(existsSync(path.join(folder, 'models'))).toBe(false);
  });

  test('reports are kept when a gate closes, and what npm fetched is kept for the next run', () => {
    const jobs = parse(template('gitlab-ci.yml')) as Record<string, any>;
    expect(jobs['.reports'].artifacts).toMatchObject({ when: 'always', expire_in: '2 weeks' });
    const folder = project(5);
    expect(runOn('feature', folder).status).not.toBe(0);
    const kept = (jobs['.reports'].artifacts.paths as string[]).flatMap((pattern) => matching(folder, pattern));
    expect(kept).toContain('.slipway/pipelines/digits/evaluate/report.json');
    for (const job of ['evaluate', 'publish']) expect([jobs[job].extends].flat()).toContain('.reports');
    expect(jobs['default'].cache).toEqual({ key: { files: ['package-lock.json'] }, paths: ['.npm/'] });
    expect(jobs['default'].before_script).toEqual(jobs['.keyless'].before_script.slice(1));
  });
});

describe('Jenkins', () => {
  const text = template('Jenkinsfile');
  const scripts = [...text.matchAll(/^\s*sh '([^']+)'$/gm)].map(([, script]) => script!);
  const environment = Object.fromEntries(
    [...text.matchAll(/^\s*([A-Z]+) = '([^']*)'$/gm)].map(([, key, value]) => [key!, value!]),
  );

  test('its steps evaluate, publish and promote', () => {
    expect(scripts).toHaveLength(4);
    const folder = project();
    const answers = { MODEL_REPOSITORY: './models', VERSION: '1', LABEL: 'production' };
    const ran = runAll(scripts, folder, { ...environment, ...answers });
    expect(ran.status, ran.output).toBe(0);
    expect(published(folder, 1)).toBe(true);
    expect(labels(folder)).toContain('production');
    // What was evaluated in one stage is not evaluated again in the next.
    expect(ran.output).toContain('evaluate: unchanged');
  });

  test.each([
    ['a branch', 'feature', '', ['install', 'evaluate']],
    ['main', 'main', '', ['install', 'evaluate', 'publish']],
    ['main, given a version', 'main', '3', ['install', 'promote']],
  ])('the stages of %s, none of which waits for an answer', (_, branch, version, expected) => {
    const stages = text.split(/^ {4}stage\('/m).slice(1);
    const ran = stages.filter((stage) => {
      const when = /^ {6}when \{(.*?)^ {6}\w/ms.exec(stage)?.[1] ?? '';
      if (when.includes("branch 'main'") && branch !== 'main') return false;
      if (when.includes('{ !params.VERSION }')) return version === '';
      return when.includes('{ !!params.VERSION }') ? version !== '' : true;
    });
    expect(ran.map((stage) => stage.split("'")[0])).toEqual(expected);
    expect(text).not.toMatch(/\binput\b/);
  });

  test('a closed gate ends the run with status 4, and the reports that say why are kept', () => {
    const folder = project(5);
    expect(runAll(scripts, folder, { ...environment, MODEL_REPOSITORY: './models' }).status).toBe(4);
    expect(existsSync(path.join(folder, 'models'))).toBe(false);
    const [, artifacts] = /^ {2}post \{\s*always \{[^}]*artifacts: '([^']+)'/m.exec(text)!;
    const kept = artifacts!.split(', ').flatMap((pattern) => matching(folder, pattern));
    expect(kept).toContain('.slipway/pipelines/digits/evaluate/report.json');
  });

  test('caches lie in the workspace, for nobody in the container has a home', () => {
    expect(text).toContain('npm_config_cache = "${WORKSPACE}/.npm"');
    expect(text).toContain('XDG_CACHE_HOME = "${WORKSPACE}/.cache"');
    expect(text).toContain("timeout(time: 1, unit: 'HOURS')");
  });
});
