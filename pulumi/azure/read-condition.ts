import { modelPrefix, SpecError } from '../../runtime/spec';

const READ = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read';
const PATH = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path';

/** A bound of ours, the longest that was planned with: Azure's pages name none. */
const MAX_LENGTH = 8_000;

/**
 * Of the role that reads blobs, leaves those below the prefixes of the models. Listing is the same action and has no path,
 * so it is refused, too.
 * Source: https://learn.microsoft.com/azure/storage/blobs/storage-auth-abac-attributes and -examples, read 2026-11-22.
 * @throws SpecError POLICY_TOO_LARGE
 */
export function readCondition(models: readonly string[]): string {
  // Names of models hold no quote: assertModelName took them.
  const paths = [...new Set(models)].map((model) => `@Resource[${PATH}] StringStartsWith '${modelPrefix(model)}'`);
  const condition = `((!(ActionMatches{'${READ}'})) OR (${paths.join(' OR ')}))`;
  if (condition.length > MAX_LENGTH) {
    throw new SpecError(
      'POLICY_TOO_LARGE',
      'reads',
      `${paths.length} models of one bucket make a condition of ${condition.length} characters, at most ${MAX_LENGTH} are written; give some of them to another service`,
    );
  }
  return condition;
}
