// Processes of the benchmark: started on named cores, ended with it, and what they cost read from /proc.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** Ticks of the kernel's clock in a second, for /proc/<pid>/stat. */
const CLOCK_TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const READY_SECONDS = 60;

const LOGS = mkdtempSync(join(tmpdir(), 'slipway-bench-logs-'));
let started = 0;
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(LOGS, { recursive: true, force: true });
});

export interface Started {
  readonly pid: number;
  /** Everything it wrote so far. */
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

export interface StartOptions {
  /** Cores it may use, as taskset writes them: `0`, `0,1`. @default - all */
  readonly cores?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
}

export function start(command: readonly string[], { cores, environment, directory }: StartOptions = {}): Started {
  const [program, ...rest] = cores === undefined ? command : ['taskset', '-c', cores, ...command];
  // A file, not a pipe: while the load is generated nobody would read it, and a server that logs would wait for that.
  const log = join(LOGS, String(started++));
  const file = openSync(log, 'w');
  const child = spawn(program!, rest, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
    cwd: directory,
    stdio: ['ignore', file, file],
  });
  closeSync(file);
  running.add(child);
  const closed = new Promise<void>((resolve) => child.once('close', () => (running.delete(child), resolve())));
  return {
    pid: child.pid!,
    output: () => readFileSync(log, 'utf8').slice(-10_000),
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await closed;
      clearTimeout(timer);
    },
  };
}

/**
 * Waits until a GET of the URL answers 200.
 * @param network The process in whose network it listens. @default - this one's
 */
export async function untilReady(
  url: string,
  started: Started,
  seconds = READY_SECONDS,
  network?: number,
): Promise<void> {
  const deadline = Date.now() + seconds * 1_000;
  while (Date.now() < deadline) {
    if ((network === undefined ? await statusOf(url) : statusIn(network, url)) === 200) return;
    await wait(network === undefined ? 50 : 1_000);
  }
  throw new Error(`${url} did not answer within ${seconds} s:\n${started.output()}`);
}

function statusOf(url: string): Promise<number> {
  return fetch(url).then(
    (response) => response.status,
    () => 0,
  );
}

function statusIn(network: number, url: string): number {
  const script = `fetch('${url}').then((response) => console.log(response.status), () => console.log(0))`;
  const args = ['-t', String(network), '-n', process.execPath, '-e', script];
  return Number(spawnSync('nsenter', args, { encoding: 'utf8', timeout: 10_000 }).stdout);
}

export async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Processor seconds that a process and its threads have used, those of its children that ended included. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

/** The same with all descendants: servers that start workers. */
export function cpuSecondsOfTree(pid: number): number {
  return descendants(pid).reduce((sum, each) => sum + cpuSeconds(each), 0);
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ');
  return Number(pages) * 4_096;
}

/** Gives the busiest thread but the first a core of its own and leaves the others to the rest: an executor beside the server. */
export function pinBusiestThread(pid: number, core: string, others: string, before: ReadonlyMap<string, number>): void {
  const [busiest] = [...threadSeconds(pid)]
    .filter(([thread]) => thread !== String(pid))
    .sort(([a, x], [b, y]) => y - (before.get(b) ?? 0) - (x - (before.get(a) ?? 0)));
  for (const thread of threadSeconds(pid).keys()) {
    execFileSync('taskset', ['-cp', thread === busiest?.[0] ? core : others, thread], { stdio: 'ignore' });
  }
}

/** Processor ticks by thread. */
export function threadSeconds(pid: number): Map<string, number> {
  return new Map(
    readdirSync(`/proc/${pid}/task`).map((thread) => {
      const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return [thread, Number(fields[11]) + Number(fields[12])] as const;
    }),
  );
}

function descendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      return readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
  return [pid, ...children.flatMap(descendants)];
}
