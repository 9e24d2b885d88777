import { SpecError } from '../../spec/errors';
import { ENVIRONMENT } from '../../spec/environment';
import type { VersionPolicy } from '../../spec/model-configuration/model-configuration';

/**
 * Reads `SLIPWAY_VERSION_POLICY`: `latest`, `latest:3`, `all` or `specific:1,4`.
 * @throws SpecError ENVIRONMENT_INVALID
 */
export function parseVersionPolicy(text: string): VersionPolicy {
  const [kind, detail, ...more] = text.split(':');
  if (more.length === 0) {
    if (kind === 'latest' && detail === undefined) return { kind, count: 1 };
    if (kind === 'latest' && isWhole(detail!)) return { kind, count: Number(detail) };
    if (kind === 'all' && detail === undefined) return { kind };
    const versions = detail?.split(',') ?? [];
    if (kind === 'specific' && versions.length > 0 && versions.every(isWhole)) {
      return { kind, versions: versions.map(Number) };
    }
  }
  throw new SpecError(
    'ENVIRONMENT_INVALID',
    ENVIRONMENT.versionPolicy.variable,
    `must be latest, latest:<n>, all or specific:<version>,<version>, got '${text}'`,
  );
}

/** The versions to serve out of those that are there, newest first. */
export function selectVersions(policy: VersionPolicy, present: readonly number[]): readonly number[] {
  const newestFirst = [...new Set(present)].sort((a, b) => b - a);
  switch (policy.kind) {
    case 'latest':
      return newestFirst.slice(0, policy.count);
    case 'all':
      return newestFirst;
    case 'specific':
      return newestFirst.filter((version) => policy.versions.includes(version));
    default:
      return policy satisfies never;
  }
}

function isWhole(text: string): boolean {
  return /^[1-9][0-9]*$/.test(text) && Number.isSafeInteger(Number(text));
}
