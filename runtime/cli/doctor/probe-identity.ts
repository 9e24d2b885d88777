import { randomBytes } from 'node:crypto';
import type { IdentityBinding } from '../../spec/kubernetes/identity-binding';
import type { ProbeFacts } from './facts';
import { KubectlError, type Kubectl } from './kubectl';
import { containerSecurity, podSecurity } from '../../spec/kubernetes/pod-security';

export interface IdentityProbe {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly image: string;
  /** Folder of a model version: its manifest is read. */
  readonly uri: string;
  readonly identity: Partial<IdentityBinding>;
  readonly imagePullSecrets?: readonly string[];
  /** Most that the pod may take, its image included. */
  readonly timeoutSeconds: number;
}

/** Leaves the cluster by itself, should this process be ended before it has removed it. */
const TTL_SECONDS = 300;

/**
 * Reads the manifest of a model from a pod with the service's identity, which is the only proof that a binding works. The
 * Job, and a service account that is not there yet, are made for it and removed after it, whatever happens.
 */
export async function probeIdentity(kubectl: Kubectl, probe: IdentityProbe): Promise<ProbeFacts> {
  const { namespace, serviceAccount, uri, timeoutSeconds } = probe;
  const name = `slipway-doctor-${randomBytes(4).toString('hex')}`;
  const made = (await exists(kubectl, probe)) ? [] : [accountObject(probe)];
  const objects = [...made, jobObject(name, probe)];
  const facts = { uri, serviceAccount };
  try {
    for (const object of objects) await kubectl.run(['create', '-f', '-'], { input: JSON.stringify(object) });
    const outcome = await outcomeOf(kubectl, namespace, name, timeoutSeconds);
    if (outcome === 'Complete') return { ...facts, isRead: true, message: '' };
    const said = await lastLine(kubectl, namespace, name);
    return { ...facts, isRead: false, message: said ?? `the Job was not done after ${timeoutSeconds} s` };
  } catch (error) {
    if (error instanceof KubectlError) return { ...facts, isRead: false, message: error.message };
    throw error;
  } finally {
    await remove(kubectl, namespace, [`job/${name}`, ...made.map(() => `serviceaccount/${serviceAccount}`)]);
  }
}

async function exists(kubectl: Kubectl, { namespace, serviceAccount }: IdentityProbe): Promise<boolean> {
  return kubectl.run(['get', 'serviceaccount', serviceAccount, '--namespace', namespace]).then(
    () => true,
    () => false,
  );
}

async function remove(kubectl: Kubectl, namespace: string, objects: readonly string[]): Promise<void> {
  await kubectl.run([
    'delete',
    ...objects,
    '--namespace',
    namespace,
    '--ignore-not-found',
    '--wait=false',
    '--cascade=background',
  ]);
}

async function outcomeOf(
  kubectl: Kubectl,
  namespace: string,
  name: string,
  timeoutSeconds: number,
): Promise<'Complete' | 'Failed' | undefined> {
  const deadline = Date.now() + timeoutSeconds * 1_000;
  while (Date.now() < deadline) {
    const { status } = await kubectl.json<{ status?: { conditions?: { type: string; status: string }[] } }>([
      'get',
      'job',
      name,
      '--namespace',
      namespace,
    ]);
    for (const type of ['Complete', 'Failed'] as const) {
      if (status?.conditions?.some((one) => one.type === type && one.status === 'True')) return type;
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  return undefined;
}

/** What the pod said last; the sentence of an error is one line. */
async function lastLine(kubectl: Kubectl, namespace: string, name: string): Promise<string | undefined> {
  const log = await kubectl.run(['logs', `job/${name}`, '--namespace', namespace, '--tail=1']).catch(() => '');
  return log.trim().slice(0, 500) || undefined;
}

function accountObject({ namespace, serviceAccount, identity }: IdentityProbe): object {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: serviceAccount, namespace, annotations: identity.serviceAccountAnnotations ?? {} },
    automountServiceAccountToken: false,
  };
}

function jobObject(name: string, probe: IdentityProbe): object {
  const { namespace, serviceAccount, image, uri, identity, imagePullSecrets = [], timeoutSeconds } = probe;
  const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': 'doctor' };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace, labels },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: timeoutSeconds,
      ttlSecondsAfterFinished: TTL_SECONDS,
      template: {
        metadata: { labels: { ...labels, ...identity.podLabels } },
        spec: {
          restartPolicy: 'Never',
          serviceAccountName: serviceAccount,
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          imagePullSecrets: imagePullSecrets.map((secret) => ({ name: secret })),
          securityContext: podSecurity(),
          containers: [
            {
              name: 'probe',
              image,
              command: ['node', '/app/cli.mjs', 'model', 'pull'],
              args: [uri, '/tmp', '--manifest-only', '--timeout-seconds=60'],
              env: Object.entries(identity.environment ?? {}).map(([variable, value]) => ({ name: variable, value })),
              resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
              securityContext: containerSecurity(),
            },
          ],
        },
      },
    },
  };
}
