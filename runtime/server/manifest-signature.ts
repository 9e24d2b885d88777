import { readFileSync } from 'node:fs';
import { pathOfFileUri } from '../onnx/file-uri';
import { readPublicKeys, type PublicKey } from '../signing/public-keys';
import { SigningError } from '../signing/signing-error';
import { MAX_SIGNATURE_TEXT_BYTES, verifySignature } from '../signing/verify-signature';
import { ENVIRONMENT, type ServerSettings } from '../spec/environment';
import type { ModelReference } from '../spec/model-reference';
import { MANIFEST_FILE, SIGNATURE_FILE } from '../spec/model-repository';
import { childUri } from '../sources/source-of';
import { retry } from './retry';
import type { DownloadOptions } from './download-file';
import { StartupError } from './errors';
import { ModelError } from './model-error';
import { readSmallFile } from './repository/read-small-file';

/**
 * The keys whose signatures this server believes; undefined where it asks for none.
 * @throws StartupError SIGNING_KEYS_UNREADABLE: to go on without them would serve what nobody signed
 */
export function readSigningKeys({
  modelSigningKeys,
}: Pick<ServerSettings, 'modelSigningKeys'>): readonly PublicKey[] | undefined {
  if (modelSigningKeys === undefined) return undefined;
  const { variable } = ENVIRONMENT.modelSigningKeys;
  try {
    const text = modelSigningKeys.startsWith('file://')
      ? readFileSync(pathOfFileUri(modelSigningKeys), 'utf8')
      : modelSigningKeys;
    return readPublicKeys(text, variable);
  } catch (error) {
    const message = SigningError.is(error) ? error.message : `${variable} cannot be read: ${(error as Error).message}`;
    throw new StartupError('SIGNING_KEYS_UNREADABLE', message);
  }
}

/**
 * Holds a manifest to the signature that lies beside it, wherever the version comes from.
 * @param manifest the bytes that are used from here on, and no others
 * @returns the fingerprint of the key that has signed
 * @throws ModelError for a manifest that is not signed, or by none of the keys; SourceError
 */
export async function verifyManifest(
  manifest: Uint8Array,
  reference: ModelReference,
  keys: readonly PublicKey[],
  options: DownloadOptions,
): Promise<string> {
  const uri = signatureUri(reference);
  const text = uri === undefined ? undefined : await readSignature(uri, options);
  try {
    return verifySignature(manifest, text, keys, MANIFEST_FILE).fingerprint;
  } catch (error) {
    throw SigningError.is(error) ? new ModelError(error.message) : error;
  }
}

/** Beside the manifest; files that each have a URI of their own may lie under any name, and then it is one of them. */
function signatureUri({ folder, files = [] }: ModelReference): string | undefined {
  if (folder !== undefined) return childUri(folder, SIGNATURE_FILE);
  const listed = files.find(({ path }) => path === SIGNATURE_FILE);
  if (listed !== undefined) return listed.uri;
  const manifest = files.find(({ path }) => path === MANIFEST_FILE)?.uri;
  return manifest?.endsWith(`/${MANIFEST_FILE}`) === true
    ? `${manifest.slice(0, -MANIFEST_FILE.length)}${SIGNATURE_FILE}`
    : undefined;
}

/** The text of a signature, or undefined where there is none: not every version is signed. @throws SourceError */
export async function readSignature(uri: string, { signal, onRetry }: DownloadOptions): Promise<string | undefined> {
  const bytes = await retry(() => readSmallFile(uri, MAX_SIGNATURE_TEXT_BYTES, signal), signal, onRetry);
  return bytes?.toString('utf8');
}
