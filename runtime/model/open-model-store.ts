import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { pathOfFileUri } from '../onnx/file-uri';
import { directoryModelStore } from './directory-model-store';
import type { ModelStore } from './model-store';
import { PublishError } from './publish-error';

/** What knows the clouds: their libraries are not the package's dependencies, so it is built with the server. */
export interface RemoteStores {
  readonly openRemoteStore: (uri: string) => Promise<ModelStore>;
}

/** Where it lies in the installed package, and in a checkout. */
const PLACES = ['../../model-stores.mjs', 'stores/remote-store.ts'];

let loadRemoteStores = fromPackage;

/** The program of the image is one bundle, and has the stores in it. */
export function takeRemoteStoresFrom(load: () => Promise<RemoteStores>): void {
  loadRemoteStores = load;
}

/**
 * The model repository at a URI: `s3://bucket/prefix`, `gs://`, `oss://`, `cos://`, `az://account/container/prefix`,
 * `file:///path`, or the path of a directory.
 * @throws PublishError REPOSITORY_INVALID, REPOSITORY_UNREACHABLE
 */
export async function openModelStore(repository: string): Promise<ModelStore> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(repository)?.[1];
  if (scheme === undefined) return directoryModelStore(resolve(repository));
  if (scheme === 'file') return directoryModelStore(pathOf(repository));
  const { openRemoteStore } = await loadRemoteStores();
  return openRemoteStore(repository);
}

async function fromPackage(): Promise<RemoteStores> {
  const file = PLACES.map((place) => join(__dirname, place)).find(existsSync);
  if (file === undefined) throw new Error(`model-stores.mjs is not there; run 'npm run build'`);
  return (await import(pathToFileURL(file).href)) as RemoteStores;
}

function pathOf(uri: string): string {
  try {
    return resolve(pathOfFileUri(uri));
  } catch (error) {
    throw new PublishError('REPOSITORY_INVALID', uri, `must be file:///<absolute path>: ${(error as Error).message}`);
  }
}
