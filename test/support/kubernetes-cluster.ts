import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const repositoryRoot = path.resolve(__dirname, '../..');

/** A control plane with fake nodes on loopback: the real API server, scheduler and controllers, and no container. */
export interface TestCluster {
  readonly kubeconfig: string;
  kubectl(...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Why no cluster can be started here, or undefined when one can. */
export function whyNoCluster(): string | undefined {
  const starter = kubeUp();
  if (!existsSync(starter)) return `there is no ${starter}; point KUBE_UP at a kube-up to run this`;
  if (!isOnPath('kubectl')) return 'kubectl is not on the PATH';
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'kube-up runs on linux/amd64 alone';
  return undefined;
}

/** Starts a cluster of its own for the caller, in 5 to 10 seconds. */
export async function startCluster(): Promise<TestCluster> {
  const directory = mkdtempSync(path.join(tmpdir(), 'slipway-kube-'));
  await run(kubeUp(), [directory], { timeout: 110_000 });
  const kubeconfig = path.join(directory, 'kubeconfig');
  return {
    kubeconfig,
    kubectl: async (...args) =>
      (await run('kubectl', [`--kubeconfig=${kubeconfig}`, ...args], { timeout: 60_000 })).stdout,
    stop: async () => {
      await run(path.join(path.dirname(kubeUp()), 'kube-down'), [directory], { timeout: 60_000 });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Folder of the custom resource definitions that come with the starter. */
export function customResourceDefinitions(): string {
  return path.join(path.dirname(kubeUp()), 'crds');
}

function kubeUp(): string {
  return process.env['KUBE_UP'] ?? path.resolve(repositoryRoot, '../shared/tools/kube-up');
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
