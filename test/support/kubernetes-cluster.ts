import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { toolOnPath } from './tools';

const run = promisify(execFile);
const repositoryRoot = path.resolve(__dirname, '../..');

/**
 * A control plane with fake nodes on loopback: the real API server, scheduler and controllers, and no container. Where it
 * cannot be started, somebody's own cluster, in which only namespaces of the test are touched.
 */
export interface TestCluster {
  readonly kubeconfig: string;
  kubectl(...args: string[]): Promise<string>;
  /** Makes what a file describes. Of somebody's cluster, what is there already is left as it is, and the rest goes at the end. */
  provide(file: string): Promise<void>;
  /** The namespaces of the test go, and what it provided; a cluster that was started ends. */
  stop(): Promise<void>;
}

export interface ClusterNeeds {
  /** Definitions of kinds, by their files in the starter's `crds`. */
  readonly definitions?: readonly string[];
  /** Nodes that run whatever image they are told, and one of them with GPUs. */
  readonly fakeNodes?: boolean;
  /** Nobody else's objects: nodes are tainted, or the whole cluster is looked at. */
  readonly alone?: boolean;
}

/** Why a test with these needs has no cluster here, or undefined when it has one. */
export function whyNoCluster(needs: ClusterNeeds = {}): string | undefined {
  if (toolOnPath('kubectl') === undefined) return 'kubectl is not on the PATH';
  const { definitions = [] } = needs;
  const kubeconfig = foreignKubeconfig();
  if (kubeconfig === undefined) {
    if (!existsSync(kubeUp())) {
      return `there is no ${kubeUp()}; point KUBE_UP at a kube-up, or TEST_KUBECONFIG at the kubeconfig of a cluster for tests`;
    }
    if (process.platform !== 'linux' || process.arch !== 'x64') return 'kube-up runs on linux/amd64 alone';
    const missing = definitions.find((file) => !existsSync(definition(file)));
    return missing === undefined ? undefined : `there is no ${definition(missing)}`;
  }
  if (needs.alone === true) return 'the cluster of TEST_KUBECONFIG may be used by others, and this takes all of one';
  const answers = (...args: string[]): string | undefined => {
    try {
      const flags = [`--kubeconfig=${kubeconfig}`, '--request-timeout=10s'];
      return execFileSync('kubectl', [...flags, ...args], { encoding: 'utf8', stdio: 'pipe', timeout: 20_000 });
    } catch {
      return undefined;
    }
  };
  if (answers('get', '--raw', '/readyz') === undefined) return 'the cluster of TEST_KUBECONFIG does not answer';
  if (needs.fakeNodes === true && answers(...KUBELET)?.startsWith('kwok') !== true) {
    return 'the cluster of TEST_KUBECONFIG has no fake nodes, which run images that are not there';
  }
  const missing = definitions.find(
    (file) => !existsSync(definition(file)) && answers('get', 'crd', crdName(file)) === undefined,
  );
  return missing === undefined ? undefined : `the cluster of TEST_KUBECONFIG has no ${crdName(missing)}`;
}

/** Asks for the version of the kubelet, which kwok plays on a node that is none. */
const KUBELET = ['get', 'node', 'gpu-0', '-o', 'jsonpath={.status.nodeInfo.kubeletVersion}'];

/**
 * The name of a namespace: in a cluster that was started for the test the word itself, small, in somebody's cluster one that
 * nobody has. `stop` deletes it there.
 */
export function namespaceOf(word: string): string {
  if (foreignKubeconfig() === undefined) return word.toLowerCase();
  const name = `slipway-test-${RUN}-${word.toLowerCase()}`;
  namespaces.add(name);
  return name;
}

/** Of this test file in this run. */
const RUN = `${process.pid.toString(36)}${Date.now().toString(36)}`;
const namespaces = new Set<string>();

/** Starts a cluster of its own for the caller, in 5 to 10 seconds, or takes the one of `TEST_KUBECONFIG`. */
export async function startCluster(): Promise<TestCluster> {
  const kubeconfig = foreignKubeconfig();
  return kubeconfig === undefined ? startOwn() : borrow(kubeconfig);
}

/** One file of tests at a time has somebody's cluster: kinds and GPUs are there once. @returns what gives it back */
async function takeTurn(kubeconfig: string): Promise<() => void> {
  const lock = path.join(
    tmpdir(),
    `slipway-test-${createHash('sha256').update(kubeconfig).digest('hex').slice(0, 16)}`,
  );
  for (let attempt = 0; attempt < 500; attempt++) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return () => rmSync(lock, { force: true });
    } catch {
      if (!isAlive(lock)) rmSync(lock, { force: true });
      await wait(500);
    }
  }
  throw new Error(
    `another run has had the cluster of TEST_KUBECONFIG for minutes: run with --no-file-parallelism, and remove ${lock} if nobody has it`,
  );
}

function isAlive(lock: string): boolean {
  try {
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

/** Makes the kinds of these files, which are there when it returns. */
export async function defineKinds(cluster: TestCluster, files: readonly string[]): Promise<void> {
  for (const file of files) {
    if (existsSync(definition(file))) await cluster.provide(definition(file));
  }
  const names = files.map((file) => `crd/${crdName(file)}`);
  // A definition that was just created has no condition yet, which kubectl takes for an error.
  for (let attempt = 0; ; attempt++) {
    try {
      await cluster.kubectl('wait', '--for=condition=Established', ...names, '--timeout=60s');
      return;
    } catch (error) {
      if (attempt === 60) throw error;
      await wait(500);
    }
  }
}

async function startOwn(): Promise<TestCluster> {
  const directory = mkdtempSync(path.join(tmpdir(), 'slipway-kube-'));
  await run(kubeUp(), [directory], { timeout: 110_000 });
  const kubeconfig = path.join(directory, 'kubeconfig');
  const kubectl = kubectlOf(kubeconfig);
  return {
    kubeconfig,
    kubectl,
    provide: async (file) => void (await kubectl('apply', '--server-side', '-f', file)),
    stop: async () => {
      await run(path.join(path.dirname(kubeUp()), 'kube-down'), [directory], { timeout: 60_000 });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function borrow(kubeconfig: string): Promise<TestCluster> {
  const giveBack = await takeTurn(kubeconfig);
  const kubectl = kubectlOf(kubeconfig);
  const provided: string[] = [];
  return {
    kubeconfig,
    kubectl,
    provide: async (file) => {
      const names = async (): Promise<string[]> =>
        (await kubectl('get', '-f', file, '--ignore-not-found', '-o', 'name'))
          .split('\n')
          .filter((line) => line !== '');
      const before = await names();
      // What is there is an error of its own, and the rest of the file is made all the same.
      const failure = await kubectl('create', '-f', file).then(
        () => undefined,
        (error: Error) => error,
      );
      provided.push(...(await names()).filter((name) => !before.includes(name)));
      if (failure !== undefined && !/AlreadyExists/.test(failure.message)) throw failure;
    },
    stop: async () => {
      const own = [...namespaces].map((name) => `namespace/${name}`);
      try {
        for (const object of [...own, ...provided.reverse()]) {
          await kubectl('delete', object, '--ignore-not-found', '--wait=true', '--timeout=50s');
        }
      } finally {
        giveBack();
      }
    },
  };
}

function kubectlOf(kubeconfig: string): TestCluster['kubectl'] {
  return async (...args) => (await run('kubectl', [`--kubeconfig=${kubeconfig}`, ...args], { timeout: 60_000 })).stdout;
}

/** Folder of the custom resource definitions that come with the starter. */
export function customResourceDefinitions(): string {
  return path.join(path.dirname(kubeUp()), 'crds');
}

function definition(file: string): string {
  return path.join(customResourceDefinitions(), file);
}

/** `keda/keda.sh_scaledobjects.yaml` defines `scaledobjects.keda.sh`. */
function crdName(file: string): string {
  const [group, plural] = path.basename(file, '.yaml').split('_');
  return `${plural}.${group}`;
}

function kubeUp(): string {
  return process.env['KUBE_UP'] ?? path.resolve(repositoryRoot, '../shared/tools/kube-up');
}

/** Somebody's cluster, where none can be started. */
function foreignKubeconfig(): string | undefined {
  const kubeconfig = process.env['TEST_KUBECONFIG'] ?? '';
  return existsSync(kubeUp()) || kubeconfig === '' ? undefined : path.resolve(kubeconfig);
}
