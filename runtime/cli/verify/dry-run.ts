import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { reveal, type PulumiRecording } from '../../testing';
import { programOnPath } from '../../testing/program-on-path';
import type { KubernetesObject } from '../service-objects';
import type { Template } from './cdk-app';
import { failed, passed, SkippedStep, type Outcome } from './step';

/** A cluster for tests, always named by somebody: the current context of a machine is no test cluster. */
export interface TestCluster {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

const KUBECTL_SECONDS = 120;

/** The objects that a program declares; what is no single object (a chart) is left to the cluster. */
export function objectsOfProgram({ resources }: PulumiRecording): readonly KubernetesObject[] {
  return resources.flatMap(({ type, custom, read, inputs, name }) => {
    const isObject = /^kubernetes:(?!helm|yaml|kustomize)/.test(type) && !type.endsWith('Patch');
    if (!custom || read || !isObject) return [];
    const object = reveal(inputs) as unknown as KubernetesObject;
    return [{ ...object, metadata: { ...object.metadata, name: object.metadata?.name ?? name } }];
  });
}

/** The objects that an app applies to EKS, where the template has them in plain text. */
export function objectsOfTemplates(templates: readonly Template[]): readonly KubernetesObject[] {
  return templates.flatMap(({ content }) =>
    Object.values(content.Resources ?? {}).flatMap(({ Type, Properties }) => {
      const manifest = Type === 'Custom::AWSCDK-EKS-KubernetesResource' ? Properties?.['Manifest'] : undefined;
      return typeof manifest === 'string' ? (JSON.parse(manifest) as KubernetesObject[]) : [];
    }),
  );
}

/**
 * Asks an API server whether it would take every object, all fields known to it. Nothing is stored: an object of a namespace
 * that is not there is asked for in `default`.
 */
export async function dryRun(
  objects: readonly KubernetesObject[],
  { kubeconfig, context }: TestCluster,
): Promise<Outcome> {
  if (objects.length === 0) throw new SkippedStep('there is no Kubernetes object');
  if (kubeconfig === undefined || kubeconfig === '') {
    throw new SkippedStep('no test cluster is named; give --kubeconfig, or set TEST_KUBECONFIG');
  }
  if (!existsSync(kubeconfig)) throw new Error(`${kubeconfig}: does not exist`);
  if (programOnPath('kubectl') === undefined) throw new SkippedStep('kubectl is not on the PATH');
  const flags = [`--kubeconfig=${kubeconfig}`, ...(context === undefined ? [] : [`--context=${context}`])];
  const listed = await kubectl([...flags, 'get', 'namespaces', '-o', 'name']);
  if (listed.error !== undefined) throw new Error(`the test cluster does not answer: ${listed.error}`);
  const namespaces = new Set(listed.stdout.split('\n').map((line) => line.replace('namespace/', '')));

  const defined = new Set(objects.flatMap(definedKinds));
  const asked = objects.filter((object) => !defined.has(object.kind));
  const moved = new Set<string>();
  const items = asked.map((object) => {
    const { namespace } = object.metadata;
    if (namespace === undefined || namespaces.has(namespace)) return object;
    moved.add(namespace);
    return { ...object, metadata: { ...object.metadata, namespace: 'default' } };
  });
  const apply = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '--force-conflicts'];
  const { error } = await kubectl(
    [...flags, ...apply, '--field-manager=slipway-verify', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  );
  const notes = [
    ...[...moved].map((name) => `namespace ${name} is not there yet; its objects were asked for in default`),
    ...(asked.length === objects.length
      ? []
      : [`${objects.length - asked.length} objects of kinds that come with them were not asked for`]),
  ];
  if (error === undefined) return passed(`the API server takes all ${asked.length} objects`, notes);
  return failed(`the API server refuses some of ${asked.length} objects`, [...error.split('\n'), ...notes]);
}

/** What a custom resource definition among the objects defines: no API server knows it before. */
function definedKinds(object: KubernetesObject): readonly string[] {
  if (object.kind !== 'CustomResourceDefinition') return [];
  const { spec } = object as { spec?: { names?: { kind?: string } } };
  return spec?.names?.kind === undefined ? [] : [spec.names.kind];
}

function kubectl(args: readonly string[], input = ''): Promise<{ readonly stdout: string; readonly error?: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      'kubectl',
      args,
      { timeout: KUBECTL_SECONDS * 1_000, killSignal: 'SIGKILL', maxBuffer: 16 * 2 ** 20 },
      (error, stdout, stderr) =>
        resolve(error === null ? { stdout } : { stdout, error: stderr.trim() === '' ? error.message : stderr.trim() }),
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
