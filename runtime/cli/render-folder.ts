import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { CliError } from './cli-error';
import { objectYaml } from './render-yaml';
import type { KubernetesObject } from './service-objects';

/** First line of every file that is ours. */
const MARK = '# Written by slipway render: written anew by the next one, so change it by an overlay of your own.\n';
const KUSTOMIZATION = 'kustomization.yaml';

/** What a folder became. */
export interface RenderedFolder {
  readonly written: readonly string[];
  readonly unchanged: readonly string[];
  /** Of an earlier render, and no object's any more. */
  readonly removed: readonly string[];
}

/**
 * Writes one file for each object, and a `kustomization.yaml` that names them in the order in which they are applied.
 * Files that say the same already are left alone. Nothing is written or removed unless all of it may be.
 * @throws CliError for a file in the way that an earlier render did not write.
 */
export function renderFolder(folder: string, objects: readonly KubernetesObject[]): RenderedFolder {
  const files = new Map(objects.map((object) => [fileName(object), MARK + objectYaml(object)]));
  const earlier = filesOf(folder);
  files.set(
    KUSTOMIZATION,
    MARK +
      objectYaml({
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        // Without it the objects are sorted by kind: what is applied first would be kustomize's to decide.
        sortOptions: { order: 'fifo' },
        resources: [...files.keys()],
      }),
  );
  const stale = earlier.filter((name) => !files.has(name) && contentOf(folder, name)?.startsWith(MARK));
  const changed = [...files].filter(([name, content]) => {
    const present = contentOf(folder, name);
    if (present !== undefined && !present.startsWith(MARK)) {
      throw new CliError(
        `${path.join(folder, name)}: is there, and not written by slipway render; move it away, or render to another folder`,
      );
    }
    return present !== content;
  });
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of changed) writeFileSync(path.join(folder, name), content);
  for (const name of stale) rmSync(path.join(folder, name));
  const written = changed.map(([name]) => name);
  return { written, unchanged: [...files.keys()].filter((name) => !written.includes(name)), removed: stale };
}

function fileName({ kind, metadata }: KubernetesObject): string {
  return `${kind.toLowerCase()}-${metadata.name}.yaml`;
}

/** What an earlier render listed: names alone, for anybody may have written into the list. */
function filesOf(folder: string): readonly string[] {
  const content = contentOf(folder, KUSTOMIZATION);
  if (content?.startsWith(MARK) !== true) return [];
  const { resources } = (parse(content) ?? {}) as { resources?: unknown };
  const names = Array.isArray(resources) ? resources.filter((name) => typeof name === 'string') : [];
  return names.filter((name) => /^[a-z0-9][a-z0-9.-]*\.yaml$/.test(name));
}

/** @returns undefined where there is nothing. @throws CliError for what is no plain file: a link leads elsewhere. */
function contentOf(folder: string, name: string): string | undefined {
  const file = path.join(folder, name);
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isFile()) throw new CliError(`${file}: is no plain file; move it away, or render to another folder`);
  return readFileSync(file, 'utf8');
}
