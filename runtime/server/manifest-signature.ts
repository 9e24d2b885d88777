import { readFileSync } from 'node:fs';
import { pathOfFileUri } from '../onnx/file-uri';
import { readPublicKeys, type PublicKey } from '../signing/public-keys';
import { SigningError } from '../signing/signing-error';
import { MAX_SIGNATURE_TEXT_BYTES, verifySignature } from '../signing/verify-signature';
import { ENVIRONMENT, type ServerSettings } from '../spec/environment';
import type { ModelReference } from '../spec/model-reference';
import { MANIFEST_FILE, SIGNATURE_FILE } from '../spec/model-repository';
import { SourceError } from '../sources/model-source';
import { childUri, sourceOf } from '../sources/source-of';
import { retry } from './retry';
import type { DownloadOptions } from './download-file';
import { StartupError } from './errors';
import { ModelError } from './model-error';

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

async function readSignature(uri: string, { signal, onRetry }: DownloadOptions): Promise<string | undefined> {
  try {
    return await retry(
      async () => {
        const chunks: Uint8Array[] = [];
        let bytes = 0;
        for await (const chunk of await sourceOf(uri).open(uri, signal)) {
          chunks.push(chunk as Uint8Array);
          bytes += (chunk as Uint8Array).byteLength;
          if (bytes > MAX_SIGNATURE_TEXT_BYTES) throw new ModelError(`${SIGNATURE_FILE} is larger than any signature`);
        }
        return Buffer.concat(chunks).toString('utf8');
      },
      signal,
      onRetry,
    );
  } catch (error) {
    if (error instanceof SourceError && error.failure === 'missing') return undefined;
    throw error;
  }
}
