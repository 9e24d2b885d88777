// npm run bench: one table, every figure a ratio of two measurements of one run on one machine.
//   --only TEXT     rows whose name holds the text
//   --seconds N     length of one measurement (default 5)
//   --rounds N      measurements that the median is taken of (default 3)
//   --peers FOLDER  virtual environments with the Python servers that are compared: <folder>/<peer>/bin/python
//   --install-peers makes them there first (pip), default folder .bench/peers
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { has } from './load.mjs';
import { layOutModels } from './models.mjs';
import { installPeers } from './peers.mjs';
import type { Context, Figure } from './measuring.mjs';
import { ROWS } from './rows.mjs';

const NODE_24 = '24.21.0';
const root = fileURLToPath(new URL('..', import.meta.url));

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    peers: { type: 'string', default: '.bench/peers' },
    'install-peers': { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

const missing = ['wrk', 'taskset'].filter((tool) => !has(tool));
if (missing.length > 0) {
  console.error(`the benchmark needs ${missing.join(' and ')} (Debian: apt-get install wrk util-linux nghttp2-client)`);
  process.exit(1);
}
if (cpus().length < 2) {
  console.error('the benchmark needs two cores: one for what is measured, one for the load');
  process.exit(1);
}
const peers = resolve(options.peers);
if (options['install-peers']) installPeers(peers);

const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-run-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const bundle = join(root, 'node_modules/.cache/slipway-bench');
execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--server', bundle], { stdio: 'inherit' });

const nodes = [
  { label: `Node ${NODE_24}`, path: node24() },
  { label: `Node ${process.versions.node}`, path: process.execPath },
];
const rows = ROWS.filter(({ name }) => options.only === undefined || name.includes(options.only));
const context: Omit<Context, 'node'> = {
  repository: layOutModels(join(folder, 'models')),
  folder,
  server: join(bundle, 'server.mjs'),
  bench: join(root, 'bench'),
  peers,
  seconds: Number(options.seconds),
  rounds: Number(options.rounds),
};

const table: string[][] = [];
for (const row of rows) {
  const cells: string[] = [];
  for (const { label, path } of nodes) {
    process.stderr.write(`${row.name} on ${label} … `);
    const figure = await row
      .measure({ ...context, node: path })
      .catch((error: Error): Figure => ({ skipped: error.message }));
    const cell = show(figure);
    process.stderr.write(`${cell}\n`);
    cells.push(cell);
  }
  table.push([row.name, row.goal, ...cells]);
}

const report = [
  `commit ${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ' with changes'}, ${cpus()[0]!.model.trim()}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`,
  '',
  line(['measure', 'goal', ...nodes.map(({ label }) => label)]),
  line(['---', '---', ...nodes.map(() => '---')]),
  ...table.map(line),
  '',
].join('\n');
console.log(`\n${report}`);
if (options.out !== undefined) writeFileSync(options.out, report);
process.exit(0);

function show(figure: Figure): string {
  if ('skipped' in figure) return `not measured: ${figure.skipped.split('\n')[0]}`;
  const met = figure.met === undefined ? '' : figure.met ? ' ✓' : ' ✗';
  return `${figure.text}${met}`;
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '/')).join(' | ')} |`;
}

function git(...args: string[]): string {
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? '';
}

/** npm's own build of Node 24, the one that is in the image. */
function node24(): string {
  const place = join(root, '.bench', `node-${NODE_24}`);
  const binary = join(place, 'package', 'bin', 'node');
  if (process.versions.node.startsWith('24.')) return process.execPath;
  if (!existsSync(binary)) {
    mkdirSync(place, { recursive: true });
    const name = `node-linux-${process.arch}@${NODE_24}`;
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--pack-destination', place, name], { encoding: 'utf8', cwd: place }),
    ) as { filename: string }[];
    execFileSync('tar', ['-xzf', join(place, packed!.filename), '-C', place]);
  }
  if (readFileSync(binary).byteLength === 0) throw new Error(`${binary} is empty`);
  return binary;
}
