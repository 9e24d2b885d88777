import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const ROOT = path.resolve(__dirname, '../..');

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PackedPackage {
  readonly tarball: string;
  /** Paths inside the package. */
  readonly files: readonly string[];
  readonly packedBytes: number;
  readonly unpackedBytes: number;
}

/** A folder outside the clone, so that nothing can be found by walking up to our own node_modules. */
export function makeScratch(): string {
  return mkdtempSync(path.join(tmpdir(), 'slipway-package-'));
}

export function removeScratch(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Packs what the last build left, as `npm publish` would. */
export function packSlipway(folder: string): PackedPackage {
  if (!existsSync(path.join(ROOT, 'dist/server.mjs'))) throw new Error('dist is not complete; run npm run build');
  const target = path.join(folder, 'tarball');
  mkdirSync(target);
  const packed = npm(['pack', '--ignore-scripts', '--json', '--pack-destination', target], ROOT);
  if (packed.status !== 0) throw new Error(`npm pack failed: ${packed.stderr}`);
  const [report] = JSON.parse(packed.stdout) as {
    filename: string;
    size: number;
    unpackedSize: number;
    files: { path: string }[];
  }[];
  return {
    tarball: path.join(target, report!.filename),
    files: report!.files.map((file) => file.path),
    packedBytes: report!.size,
    unpackedBytes: report!.unpackedSize,
  };
}

/**
 * Installs packages into a project as a user would. No script of a dependency runs: none of ours needs one, and
 * onnxruntime-node's would download 400 MB.
 * @returns why it cannot be done here, when the registry cannot be reached; undefined after success
 */
export function install(project: string, packages: readonly string[]): string | undefined {
  if (!existsSync(path.join(project, 'package.json'))) {
    writeFileSync(path.join(project, 'package.json'), JSON.stringify({ name: 'project', private: true }));
  }
  return runInstall(['install', ...packages], project);
}

/** Installs exactly what a project's lock file says. @returns as `install` does */
export function installLocked(project: string, flags: readonly string[]): string | undefined {
  return runInstall(['ci', ...flags], project);
}

function runInstall(command: readonly string[], project: string): string | undefined {
  const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=1'];
  const { status, stderr } = npm([...command, ...flags], project);
  if (status === 0) return undefined;
  const unreachable = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED)\b/.exec(stderr);
  if (unreachable !== null) return `the npm registry cannot be reached (${unreachable[0]})`;
  throw new Error(`npm ${command[0]} failed in ${project}:\n${stderr}`);
}

/** Every installed package, scopes resolved: `aws-cdk-lib`, `@pulumi/pulumi`. */
export function installedPackages(project: string): readonly string[] {
  const modules = path.join(project, 'node_modules');
  return readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(path.join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
    );
}

export function npm(args: readonly string[], cwd: string): Run {
  return run('npm', args, cwd);
}

/** Runs one command to its end. A test runner's own settings stay behind. */
export function run(program: string, args: readonly string[], cwd: string): Run {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|VITEST|NODE_ENV$|NODE_OPTIONS$|SLIPWAY_)/.test(name)),
  );
  // Into a file: a program that ends itself with process.exit leaves what a pipe has not taken yet.
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-run-'));
  const printed = path.join(folder, 'stdout');
  const file = openSync(printed, 'w');
  try {
    const { status, stderr, error } = spawnSync(program, args, {
      cwd,
      env: environment,
      encoding: 'utf8',
      stdio: ['ignore', file, 'pipe'],
      maxBuffer: 64 * 2 ** 20,
      shell: process.platform === 'win32',
    });
    if (error !== undefined) throw error;
    return { status, stdout: readFileSync(printed, 'utf8'), stderr };
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The path of a command that a project installed. */
export function binary(project: string, name: string): string {
  return path.join(project, 'node_modules/.bin', name);
}
