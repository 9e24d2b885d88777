import type { OutgoingHttpHeaders } from 'node:http';
import type { Variables } from './cloud-variables';
import { SourceError } from './model-source';
import { storeEndpoint } from './store-endpoint';

/** What a token is good for; readers ask for no more than reading. */
export type GcsScope = 'read_only' | 'read_write';

type Authorize = () => Promise<string | undefined>;

// Loaded once for each scope, and only where a model lies in Google's cloud.
const loading = new Map<GcsScope, Promise<Authorize>>();

async function loadAuthorize(scope: GcsScope): Promise<Authorize> {
  const { GoogleAuth } = await import('google-auth-library');
  const auth = new GoogleAuth({ scopes: [`https://www.googleapis.com/auth/devstorage.${scope}`] });
  return async () => (await auth.getAccessToken()) ?? undefined;
}

/**
 * The header by which Google Cloud Storage knows us, by Application Default Credentials.
 * @throws SourceError when there are none; a metadata server may come up after the container, so trying again may help
 */
export async function gcsAuthorization(uri: string, scope: GcsScope): Promise<OutgoingHttpHeaders> {
  try {
    let authorize = loading.get(scope);
    if (authorize === undefined) loading.set(scope, (authorize = loadAuthorize(scope)));
    const token = await (await authorize)();
    return token === undefined ? {} : { Authorization: `Bearer ${token}` };
  } catch (error) {
    throw new SourceError('transient', `${uri} cannot be read: no Google credentials: ${(error as Error).message}`);
  }
}

/**
 * Where Google Cloud Storage answers: an emulator, which is asked without any token, a private endpoint, or Google itself.
 * @throws SourceError for an address that is none
 */
export function gcsAddress(variables: Variables, uri: string): { readonly origin: URL; readonly isEmulator: boolean } {
  const emulator = variables['STORAGE_EMULATOR_HOST'];
  if (emulator) {
    // With or without a scheme, as Google's own clients take it.
    const text = /^https?:/.test(emulator) ? emulator : `http://${emulator}`;
    if (!URL.canParse(text)) {
      throw new SourceError(
        'permanent',
        `${uri} cannot be read: STORAGE_EMULATOR_HOST must be a host and port, got '${emulator}'`,
      );
    }
    return { origin: new URL(text), isEmulator: true };
  }
  const named = storeEndpoint(
    variables['CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE'],
    'CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE',
  );
  return { origin: named?.url ?? new URL('https://storage.googleapis.com'), isEmulator: false };
}
