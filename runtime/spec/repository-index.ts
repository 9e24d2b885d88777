import { SpecError } from './errors';
import { isSha256 } from './manifest-fields';
import { assertModelName, assertModelVersion } from './model-repository';

export const REPOSITORY_INDEX_SCHEMA = 'slipway.dev/model-repository-index/v1';

/**
 * The small object at the top of a model repository in an object store, written by `slipway model publish` after the
 * version itself. Whoever watches the repository reads this one object, and lists the repository only when it has changed.
 * It never has to be complete: what it does not name is still found by listing.
 */
export interface RepositoryIndex {
  readonly schema: typeof REPOSITORY_INDEX_SCHEMA;
  /** Sorted by name, then by version. */
  readonly versions: readonly IndexedVersion[];
}

export interface IndexedVersion {
  readonly name: string;
  readonly version: number;
  /** SHA-256 of the version's manifest, in lower-case hexadecimal. */
  readonly manifestSha256: string;
}

export function serializeRepositoryIndex(index: RepositoryIndex): string {
  return `${JSON.stringify(index, undefined, 2)}\n`;
}

/** The index with one more version. An entry of the same name and version is replaced. */
export function withVersion(index: RepositoryIndex | undefined, added: IndexedVersion): RepositoryIndex {
  const others = (index?.versions ?? []).filter(
    ({ name, version }) => name !== added.name || version !== added.version,
  );
  const versions = [...others, added].sort((a, b) =>
    a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1,
  );
  return { schema: REPOSITORY_INDEX_SCHEMA, versions };
}

/** The index without some versions of one model. */
export function withoutVersions(index: RepositoryIndex, model: string, versions: readonly number[]): RepositoryIndex {
  return {
    schema: REPOSITORY_INDEX_SCHEMA,
    versions: index.versions.filter(({ name, version }) => name !== model || !versions.includes(version)),
  };
}

/** @throws SpecError REPOSITORY_INDEX_INVALID naming the field and what was found there. */
export function parseRepositoryIndex(text: string, source: string): RepositoryIndex {
  const refuse = (what: string): never => {
    throw new SpecError('REPOSITORY_INDEX_INVALID', source, what);
  };
  let index: { schema?: unknown; versions?: unknown } | null;
  try {
    index = JSON.parse(text) as typeof index;
  } catch (error) {
    return refuse(`must be JSON: ${(error as Error).message}`);
  }
  if (index?.schema !== REPOSITORY_INDEX_SCHEMA) return refuse(`schema must be '${REPOSITORY_INDEX_SCHEMA}'`);
  if (!Array.isArray(index.versions)) return refuse('versions must be a list');
  const versions = index.versions.map((entry: unknown, i): IndexedVersion => {
    const { name, version, manifestSha256 } = (entry ?? {}) as Record<string, unknown>;
    if (typeof name !== 'string') return refuse(`versions[${i}].name must be a string`);
    assertModelName(name, `${source}: versions[${i}].name`);
    if (typeof version !== 'number') return refuse(`versions[${i}].version must be a number`);
    assertModelVersion(version, `${source}: versions[${i}].version`);
    if (!isSha256(manifestSha256)) {
      return refuse(`versions[${i}].manifestSha256 must be 64 lower-case hexadecimal digits`);
    }
    return { name, version, manifestSha256 };
  });
  return { schema: REPOSITORY_INDEX_SCHEMA, versions };
}
