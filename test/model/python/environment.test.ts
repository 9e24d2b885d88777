import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi, type TestContext } from 'vitest';
import { findEnvironment, pythonFor } from '../../../runtime/model/python/environment';
import { compareVersions, unfitness } from '../../../runtime/model/python/examine-python';
import { PYTHON_SETS, pythonSet, requirementsText, type PythonSet } from '../../../runtime/model/python/python-sets';
import { refusalOf } from '../../support/model-tool-refusal';
import { toolOnPath } from '../../support/tools';

const folder = mkdtempSync(join(tmpdir(), 'slipway-python-test-'));
let cache: string;
let tiny: PythonSet;

beforeAll(() => {
  if (toolOnPath('python3') !== undefined) writeWheel('tinypkg', '1.2.0');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  cache = mkdtempSync(join(folder, 'cache-'));
  const requirements = join(cache, 'tiny.txt');
  writeFileSync(requirements, 'tinypkg==1.2.0\n');
  tiny = { name: 'tiny', requirements: [requirements], minimums: { tinypkg: '1.0' }, versions: ['3.8', '3.99'] };
});

test('an environment is made once, from the index that the user configured for pip, and found again while it is whole', async (context) => {
  needPython(context);
  const said: string[] = [];
  const made = await pythonFor(tiny, { environment: offline(), progress: (text) => said.push(text) });
  expect(made.packages).toEqual({ tinypkg: '1.2.0' });
  expect(said[0]).toContain('making a Python environment for tiny');
  expect(said).toContain('pip installs what it collected');
  expect(execFileSync(made.python, ['-I', '-c', 'import tinypkg; print(tinypkg.VERSION)'], { encoding: 'utf8' })).toBe(
    '1.2.0\n',
  );
  expect(await pythonFor(tiny, { environment: offline(), progress: () => expect.unreachable() })).toEqual(made);
  expect(await findEnvironment(tiny, { environment: offline() })).toEqual(made);
  await refusesAsGiven(made.python);

  // One that is not whole is not used, and is made anew; what a killed process began goes.
  const directory = join(made.python, '..', '..');
  rmSync(join(directory, 'slipway-environment.json'));
  expect(await findEnvironment(tiny, { environment: offline() })).toBeUndefined();
  mkdirSync(`${directory}.0badf00d`);
  expect(await pythonFor(tiny, { environment: offline() })).toEqual(made);
  expect(existsSync(join(directory, 'slipway-environment.json'))).toBe(true);
  expect(readdirSync(join(cache, 'slipway', 'python'))).toHaveLength(1);
});

/** An interpreter that is given must have every package, and is refused by the name of what it lacks. */
async function refusesAsGiven(python: string): Promise<void> {
  const lacking = { ...tiny, minimums: { tinypkg: '1.2', 'absentpkg|otherpkg': '2' } };
  const refusal = await refusalOf(pythonFor(lacking, { python, environment: offline() }));
  expect(refusal.code).toBe('PYTHON_UNFIT');
  expect(refusal.message).toContain(`'${python}' cannot be used for tiny: it has no absentpkg and no otherpkg`);
  const byVariable = { ...offline(), SLIPWAY_MODEL_PYTHON_TINY: python };
  const tooOld = await refusalOf(pythonFor({ ...tiny, minimums: { tinypkg: '1.10' } }, { environment: byVariable }));
  expect(tooOld.where).toBe('SLIPWAY_MODEL_PYTHON_TINY');
  expect(tooOld.message).toContain('tinypkg 1.2.0 is older than 1.10');
  expect((await pythonFor(tiny, { environment: byVariable })).packages).toEqual({ tinypkg: '1.2.0' });
}

test('two that want the same environment at once get one, and nothing is left beside it', async (context) => {
  needPython(context);
  const said: string[] = [];
  const want = () => pythonFor(tiny, { environment: offline(), progress: (text) => said.push(text) });
  const [first, second] = await Promise.all([want(), want()]);
  expect(second).toEqual(first);
  expect(said.filter((text) => text.startsWith('making'))).toHaveLength(1);
  expect(said).toContain('waiting for another process, which makes the same Python environment');
  expect(readdirSync(join(cache, 'slipway', 'python'))).toHaveLength(1);
});

test('what pip cannot get is said with its own words, and nothing is left', async (context) => {
  needPython(context);
  writeFileSync(tiny.requirements[0]!, 'nosuchpkg==9.9\n');
  const refusal = await refusalOf(pythonFor(tiny, { environment: offline() }));
  expect(refusal.code).toBe('PYTHON_SETUP_FAILED');
  expect(refusal.message).toContain('No matching distribution found for nosuchpkg==9.9');
  expect(readdirSync(join(cache, 'slipway', 'python'))).toEqual([]);
});

test('an environment that is interrupted leaves nothing', async (context) => {
  needPython(context);
  const controller = new AbortController();
  const making = pythonFor(tiny, {
    environment: offline(),
    signal: controller.signal,
    progress: () => controller.abort(new Error('enough')),
  });
  await expect(making).rejects.toThrow('enough');
  expect(readdirSync(join(cache, 'slipway', 'python'))).toEqual([]);
});

test('an environment whose maker gets a signal leaves nothing, and nothing that goes on making it', async (context) => {
  needPython(context);
  const program = join(cache, 'program.ts');
  writeFileSync(
    program,
    `import { pythonFor } from ${JSON.stringify(join(process.cwd(), 'runtime/model/python/environment'))};
     void pythonFor(${JSON.stringify(tiny)}, { environment: ${JSON.stringify(offline())}, progress: console.log });`,
  );
  const maker = spawn(join('node_modules', '.bin', 'tsx'), [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(maker.stdout, 'data');
  const places = join(cache, 'slipway', 'python');
  await vi.waitFor(() => expect(readdirSync(places)).toHaveLength(2), { timeout: 10_000 });
  const ended = once(maker, 'exit');
  maker.kill('SIGINT');
  await ended;
  expect(readdirSync(places)).toEqual([]);
  expect(processesOf(places)).toEqual([]);
});

/** Processes that have a word in their command line, where the system tells. */
function processesOf(word: string): readonly string[] {
  if (!existsSync('/proc/self/cmdline')) return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
    } catch {
      return false;
    }
  });
}

test('a machine without Python is told what to install', async () => {
  const refusal = await refusalOf(pythonFor('torch', { environment: { PATH: cache, XDG_CACHE_HOME: cache } }));
  expect(refusal.code).toBe('PYTHON_MISSING');
  expect(refusal.kind).toBe('missing');
  expect(refusal.message).toContain('needs Python 3.11 to 3.14, and none is on the PATH; install one');
  expect(await findEnvironment('torch', { environment: { PATH: cache, XDG_CACHE_HOME: cache } })).toBeUndefined();
});

test('a machine whose Python is too old is told which one it has', async (context) => {
  needPython(context);
  const refusal = await refusalOf(pythonFor({ ...tiny, versions: ['3.98', '3.99'] }, { environment: offline() }));
  expect(refusal.code).toBe('PYTHON_MISSING');
  expect(refusal.message).toMatch(/needs Python 3\.98 to 3\.99, and on the PATH python3 is 3\.\d+/);
});

test('a path that is no interpreter is refused', async () => {
  const refusal = await refusalOf(pythonFor('onnx', { python: '/nonexistent/python' }));
  expect(refusal.message).toBe(
    "PYTHON_MISSING --python: must be an interpreter of Python 3.11 or newer, and '/nonexistent/python' cannot be started as one",
  );
});

test('every set that ships names one version of each package, and its lowest versions are of packages that it installs', () => {
  for (const name of PYTHON_SETS) {
    const set = pythonSet(name);
    const lines = requirementsText(set)
      .split('\n')
      .filter((line) => line !== '' && !/^(#|--no-deps)/.test(line));
    for (const line of lines) expect(line).toMatch(/^[A-Za-z0-9_.-]+==[0-9.]+(; sys_platform [!=]= 'darwin')?$/);
    const pinned = Object.fromEntries(lines.map((line) => line.split(';')[0]!.split('==') as [string, string]));
    for (const packages of Object.keys(set.minimums)) {
      expect(
        packages.split('|').some((wanted) => pinned[wanted] !== undefined),
        packages,
      ).toBe(true);
    }
    expect(unfitness(set, { version: set.versions[0], implementation: '', machine: '', packages: pinned })).toEqual([]);
  }
});

test('versions are compared by their numbers', () => {
  expect(compareVersions('3.9', '3.11')).toBeLessThan(0);
  expect(compareVersions('2.15.0+cpu', '2.15')).toBe(0);
  expect(compareVersions('1.10rc1', '1.9.9')).toBeGreaterThan(0);
});

function needPython(context: TestContext): void {
  if (toolOnPath('python3') === undefined) context.skip('there is no python3 on the PATH');
}

/** pip's configuration of this user: one folder of wheels, and no index. */
function offline(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    XDG_CACHE_HOME: cache,
    PIP_NO_INDEX: '1',
    PIP_FIND_LINKS: folder,
    PYTHONPATH: '/nonexistent',
  };
}

function writeWheel(name: string, version: string): void {
  const info = `${name}-${version}.dist-info`;
  const files = {
    [`${name}/__init__.py`]: `VERSION = '${version}'\n`,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`,
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${info}/RECORD`]: '',
  };
  const program =
    'import json,sys,zipfile\nwith zipfile.ZipFile(sys.argv[1], "w") as z:\n for n,t in json.loads(sys.argv[2]).items(): z.writestr(n,t)';
  execFileSync('python3', ['-c', program, join(folder, `${name}-${version}-py3-none-any.whl`), JSON.stringify(files)]);
}
