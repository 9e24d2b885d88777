import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeclaredResource, OnResource, ResourceState } from './pulumi-provider';
import { reveal, type Properties } from './pulumi-values';

export interface KubernetesApplyOptions {
  /** Kubeconfig of a cluster for tests: the objects are really created there. */
  readonly kubeconfig: string;
  /** @default 'kubectl', from the PATH */
  readonly kubectl?: string;
  /** Most seconds to wait for one object, whatever its own timeout says. @default 60 */
  readonly timeoutSeconds?: number;
}

/** An object as the API server stores it. */
interface LiveObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: Readonly<Record<string, unknown>>;
}

/**
 * An `onResource` that plays the Kubernetes provider against a real API server: it applies every `kubernetes:*` object
 * of the program by server-side apply with strict field validation, waits for what the provider waits for, and returns
 * the live object as state. Resources of other packages are left to whoever comes next:
 *
 * @example
 * const cluster = applyToCluster({ kubeconfig });
 * await runPulumiProgram({ directory, onResource: async (resource) => (await cluster(resource)) ?? cloud(resource) });
 */
export function applyToCluster(options: KubernetesApplyOptions): OnResource {
  const kubectl = new Kubectl(options);
  return async (resource) => {
    if (!resource.type.startsWith('kubernetes:')) return undefined;
    assertIsObject(resource);
    const object = withName(resource);
    const applied = await applyWhenNamespaceExists(kubectl, object);
    const live = await waitUntilReady(kubectl, applied, resource);
    return stateOf(live);
  };
}

function assertIsObject({ type, read }: DeclaredResource): void {
  if (read || /^kubernetes:(helm|yaml|kustomize)/.test(type) || type.endsWith('Patch')) {
    throw new Error(`${type} is not one object that can be applied; only whole objects can`);
  }
}

/** The provider invents a name where the program gives none; ours is the same in every run. */
function withName({ inputs, name, urn }: DeclaredResource): Properties {
  const object = reveal(inputs) as Record<string, Properties>;
  if (object['metadata']?.['name'] !== undefined) return object;
  const suffix = createHash('sha256').update(urn).digest('hex').slice(0, 8);
  return { ...object, metadata: { ...object['metadata'], name: `${name}-${suffix}` } };
}

/** A program may create an object beside its namespace without saying that one needs the other; the provider tries again too. */
async function applyWhenNamespaceExists(kubectl: Kubectl, object: Properties): Promise<LiveObject> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      return await kubectl.apply(object);
    } catch (error) {
      const isEarly = error instanceof Error && /namespaces "[^"]+" not found/.test(error.message);
      if (!isEarly || Date.now() > deadline) throw error;
      await sleep(250);
    }
  }
}

async function waitUntilReady(kubectl: Kubectl, object: LiveObject, resource: DeclaredResource): Promise<LiveObject> {
  const seconds = kubectl.waitSeconds(resource.customTimeouts.create);
  switch (`${object.apiVersion} ${object.kind}`) {
    case 'apps/v1 Deployment':
    case 'apps/v1 StatefulSet':
    case 'apps/v1 DaemonSet':
      await kubectl.run(['rollout', 'status', ...addressOf(object), `--timeout=${seconds}s`], seconds);
      break;
    case 'apiextensions.k8s.io/v1 CustomResourceDefinition':
      await kubectl.run(
        ['wait', '--for=condition=Established', ...addressOf(object), `--timeout=${seconds}s`],
        seconds,
      );
      break;
    case 'batch/v1 Job':
      await waitForJob(kubectl, object, seconds);
      break;
    case 'v1 Service':
      if (routesToPods(object)) await waitForEndpoint(kubectl, object, seconds);
      break;
  }
  return (await kubectl.json(['get', ...addressOf(object)])) as LiveObject;
}

function routesToPods({ spec }: LiveObject): boolean {
  return spec?.['selector'] !== undefined && spec['type'] !== 'ExternalName' && spec['clusterIP'] !== 'None';
}

async function waitForEndpoint(kubectl: Kubectl, service: LiveObject, seconds: number): Promise<void> {
  const { name, namespace } = service.metadata;
  const selector = `kubernetes.io/service-name=${name}`;
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const slices = (await kubectl.json(['get', 'endpointslices', '-n', namespace ?? 'default', '-l', selector])) as {
      items: { endpoints?: { conditions?: { ready?: boolean } }[] | null }[];
    };
    if (slices.items.some(({ endpoints }) => endpoints?.some(({ conditions }) => conditions?.ready))) return;
    await sleep(250);
  }
  throw new Error(`Service ${name} selects no ready pod after ${seconds} s`);
}

/** A Job that failed fails the update at once, as it does with the provider. */
async function waitForJob(kubectl: Kubectl, job: LiveObject, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const { status } = (await kubectl.json(['get', ...addressOf(job)])) as {
      status?: { conditions?: { type: string; status: string; reason?: string; message?: string }[] };
    };
    const is = (type: string) => status?.conditions?.find((one) => one.type === type && one.status === 'True');
    if (is('Complete') !== undefined) return;
    const failed = is('Failed');
    if (failed !== undefined) throw new Error(`Job ${job.metadata.name} failed: ${failed.reason}: ${failed.message}`);
    await sleep(250);
  }
  throw new Error(`Job ${job.metadata.name} is not complete after ${seconds} s`);
}

function stateOf(live: LiveObject): ResourceState {
  const { name, namespace } = live.metadata;
  return {
    id: namespace === undefined ? name : `${namespace}/${name}`,
    state: live as unknown as Properties,
  };
}

function addressOf({ kind, apiVersion, metadata }: LiveObject): string[] {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const resource = group === '' ? kind : `${kind}.${String(version)}.${String(group)}`;
  return [`${resource}/${metadata.name}`, ...(metadata.namespace === undefined ? [] : ['-n', metadata.namespace])];
}

/** By this annotation a program takes fields that somebody else wrote meanwhile. */
function forces(object: Properties): boolean {
  const { metadata } = object as { metadata?: { annotations?: Readonly<Record<string, string>> } };
  return metadata?.annotations?.['pulumi.com/patchForce'] === 'true';
}

class Kubectl {
  private readonly program: string;
  private readonly kubeconfig: string;
  private readonly timeoutSeconds: number;

  constructor({ kubectl, kubeconfig, timeoutSeconds }: KubernetesApplyOptions) {
    this.program = kubectl ?? 'kubectl';
    this.kubeconfig = kubeconfig;
    this.timeoutSeconds = timeoutSeconds ?? 60;
  }

  /** The resource's own timeout, `1h2m3s`, the provider's ten minutes without one, and never more than the cap. */
  waitSeconds(customTimeout: string | undefined): number {
    const [, hours, minutes, seconds] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(customTimeout ?? '10m') ?? [];
    const wanted = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
    return Math.min(wanted > 0 ? wanted : 600, this.timeoutSeconds);
  }

  async apply(object: Properties): Promise<LiveObject> {
    const args = [
      'apply',
      '--server-side',
      '--field-manager=pulumi-kubernetes',
      '--validate=strict',
      ...(forces(object) ? ['--force-conflicts'] : []),
      '-f',
      '-',
      '-o',
      'json',
    ];
    return JSON.parse(await this.run(args, 30, JSON.stringify(object))) as LiveObject;
  }

  async json(args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.run([...args, '-o', 'json'], 30)) as unknown;
  }

  run(args: readonly string[], seconds: number, input?: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        this.program,
        [`--kubeconfig=${this.kubeconfig}`, ...args],
        // kubectl ends by its own timeout; five seconds more and it hangs.
        { timeout: (seconds + 5) * 1000, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 * 1024 },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(new Error(stderr.trim() || error.message));
        },
      );
      child.stdin?.end(input ?? '');
    });
  }
}
