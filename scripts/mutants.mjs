// `npm run test:mutants`: does each promise have a test that notices when it breaks? Applies every patch of
// test/mutants/mutants.mjs, one at a time, to a copy of the tree, runs the test it names and shows whether that turned red.
//   --part        a rotating twentieth of them, by the number of commits
//   --only TEXT   those whose name contains TEXT
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MUTANTS } from '../test/mutants/mutants.mjs';
import { build } from './build.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const PARTS = 20;

function main() {
  const selected = select(process.argv.slice(2));
  const copy = copyTree();
  try {
    const baseline = runTests(copy, selected).states;
    const rows = selected.map((mutant, i) => {
      process.stdout.write(`${i + 1}/${selected.length} ${mutant.name} …\n`);
      return { mutant, verdict: judge(copy, mutant, baseline) };
    });
    printTable(rows);
    const survivors = rows.filter(({ verdict }) => verdict !== 'caught');
    console.log(
      `mutants: ${rows.length - survivors.length} caught, ${survivors.length} not caught, of ${MUTANTS.length} known`,
    );
    return survivors.length === 0 ? 0 : 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function select(args) {
  const only = args.indexOf('--only');
  if (only >= 0) return MUTANTS.filter(({ name }) => name.includes(args[only + 1]));
  if (!args.includes('--part')) return MUTANTS;
  const commits = Number(git('rev-list', '--count', 'HEAD').trim());
  return MUTANTS.filter((_, i) => i % PARTS === commits % PARTS);
}

/** What git tracks or would track, with the installed packages linked and the build copied. */
function copyTree() {
  const copy = mkdtempSync(join(tmpdir(), 'mutants-'));
  for (const file of git('ls-files', '--cached', '--others', '--exclude-standard', '-z').split('\0').filter(Boolean)) {
    cpSync(join(root, file), join(copy, file), { recursive: true });
  }
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  // Each package by itself, so that what a test writes into node_modules/.cache stays in the copy.
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules')).filter((entry) => entry !== '.cache')) {
    symlinkSync(join(root, 'node_modules', name), join(copy, 'node_modules', name));
  }
  return copy;
}

function judge(copy, mutant, baseline) {
  if (baseline.get(key(mutant.test)) !== 'passed')
    return `the test it names ${baseline.get(key(mutant.test)) ?? 'does not exist'}`;
  const path = join(copy, mutant.file);
  const original = readFileSync(path, 'utf8');
  if (original.split(mutant.find).length !== 2) return 'the patch does not apply';
  writeFileSync(
    path,
    original.replace(mutant.find, () => mutant.replace),
  );
  try {
    // The built server is what its tests start, and the built library what installed programs load.
    if (mutant.build !== undefined && !rebuild(copy)) return 'does not build';
    const { isRed, states } = runTests(copy, [mutant]);
    // A test that fails while a thread runs a model may take its process with it, and then has no result of its own.
    return isRed || states.get(key(mutant.test)) === 'failed' ? 'caught' : 'SURVIVED';
  } finally {
    writeFileSync(path, original);
    if (mutant.build !== undefined) rebuild(copy);
  }
}

function rebuild(copy) {
  const script = "const { compileLibraries } = await import('./scripts/build.mjs'); compileLibraries();";
  return (
    spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: copy, stdio: 'ignore' }).status === 0
  );
}

/** Runs the named tests in one go, and no others. @returns whether anything went wrong, and the state of each by `key` */
function runTests(copy, mutants) {
  const tests = mutants.map(({ test }) => test);
  const report = join(copy, 'mutants-report.json');
  rmSync(report, { force: true });
  const names = [...new Set(tests.map(({ name }) => escapeRegExp(name)))].join('|');
  const { status } = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      ...new Set(tests.map(({ file }) => file)),
      '--testNamePattern',
      names,
      '--reporter=json',
      `--outputFile=${report}`,
    ],
    { cwd: copy, stdio: 'ignore' },
  );
  const states = new Map();
  const { testResults } = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : { testResults: [] };
  for (const suite of testResults) {
    for (const test of tests) {
      if (!suite.name.endsWith(`/${test.file}`)) continue;
      const found = suite.assertionResults.filter(({ fullName }) => fullName.includes(test.name));
      // A file that can no longer be loaded has no results: its tests are red.
      const state =
        found.length === 0 && suite.status === 'failed' ? 'failed' : worst(found.map(({ status }) => status));
      states.set(key(test), state);
    }
  }
  return { isRed: status !== 0, states };
}

const worst = (states) => ['failed', 'passed', 'skipped'].find((state) => states.includes(state));
const key = ({ file, name }) => `${file} > ${name}`;
const escapeRegExp = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

function git(...args) {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`git ${args[0]} failed: ${stderr}`);
  return stdout;
}

function printTable(rows) {
  const width = Math.max(...rows.map(({ mutant }) => mutant.name.length));
  console.log(`\n${'broken promise'.padEnd(width)}  result    test that must turn red`);
  for (const { mutant, verdict } of rows) {
    console.log(
      `${mutant.name.padEnd(width)}  ${verdict.padEnd(8)}  ${dirname(mutant.test.file).replace(/^test\//, '')}: ${mutant.test.name}`,
    );
  }
}

await build({ ifNeeded: true });
process.exitCode = main();
