import { createHash } from 'node:crypto';
import { MANIFEST_FILE, parseVersionFolder, versionPrefix } from '../../spec/model-repository';
import { unreachable, versionExists, type ModelStore, type OnBytes, type StoredFile } from '../model-store';
import { PublishError } from '../publish-error';
import { measure, putBlob, type Blob } from './oci-blob';
import { OciRegistry, RegistryError } from './oci-registry';
import { tarStream } from './tar-stream';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
/** Weights hardly get smaller, and an uncompressed layer is the same bytes everywhere. */
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
/** https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md */
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const ARTIFACT_TYPE = 'application/vnd.slipway.model.v1';
/** Machines mount the image of their own architecture, and the files are the same for all. */
const ARCHITECTURES = ['amd64', 'arm64'];
const MAX_TAG = 128;

/**
 * Model versions as images of one repository of a registry, tagged `<model>-<version>`: one layer that unpacks to
 * `<model>/<version>/…`, which Kubernetes mounts as an image volume. A registry has no conditional write: what keeps two
 * publishers from one tag is the registry's own immutability of tags, and a look before and after.
 * @throws PublishError REPOSITORY_INVALID
 */
export function ociModelStore(uri: string, { chunkBytes }: { readonly chunkBytes?: number } = {}): ModelStore {
  const match = /^oci:\/\/([A-Za-z0-9.-]+(?::\d+)?|\[::1\](?::\d+)?)\/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)\/?$/.exec(uri);
  if (match === null) {
    throw new PublishError(
      'REPOSITORY_INVALID',
      uri,
      'must be oci://<registry>/<repository>, in lower case and without a tag',
    );
  }
  const registry = new OciRegistry(match[1] === 'docker.io' ? 'registry-1.docker.io' : match[1]!, match[2]!);
  const root = `oci://${match[1]}/${match[2]}/`;
  const digests = new Map<string, string>();

  const attempt = async <T>(act: () => Promise<T>): Promise<T> => {
    try {
      return await act();
    } catch (error) {
      throw PublishError.is(error) ? error : unreachable(root, error);
    }
  };
  const unsupported = (): never => {
    throw new PublishError(
      'REPOSITORY_INVALID',
      root,
      'is a registry, which has no labels and listings of files: move tags with its own tools, or keep the repository in a bucket',
    );
  };
  const digestOf = async (tag: string): Promise<string | undefined> => {
    const response = await registry.ask(`manifests/${tag}`, {
      method: 'HEAD',
      headers: { Accept: INDEX },
      accepted: [404],
    });
    return response.ok ? (response.headers.get('docker-content-digest') ?? 'unknown') : undefined;
  };

  return {
    uri: root,
    models: unsupported,
    files: unsupported,
    replace: unsupported,
    delete: unsupported,
    isBegun: () => Promise.resolve(false),

    versions: (model) =>
      attempt(async () => {
        const prefix = `${model}-`;
        const tags = await tagsOf(registry);
        return tags.flatMap((tag) =>
          tag.startsWith(prefix) ? (parseVersionFolder(tag.slice(prefix.length)) ?? []) : [],
        );
      }),

    read: (path) =>
      attempt(async () => {
        const [, model, version] = /^([^/]+)\/(\d+)\/manifest\.json$/.exec(path) ?? unsupported();
        const digest = await digestOf(`${model}-${version}`);
        return digest === undefined ? undefined : { content: Buffer.alloc(0), tag: digest };
      }),

    write: (model, version, files, manifest, onBytes = () => {}) =>
      attempt(async () => {
        const tag = `${model}-${version}`;
        if (tag.length > MAX_TAG) {
          throw new PublishError('REPOSITORY_INVALID', `${root}${tag}`, `a tag has at most ${MAX_TAG} characters`);
        }
        if ((await digestOf(tag)) !== undefined) throw versionExists(root, model, version);
        const index = await putImages(registry, model, version, [...files, manifest], onBytes, chunkBytes);
        const content = Buffer.from(JSON.stringify(index));
        const digest = sha256(content);
        await putTag(registry, tag, INDEX, content).catch((error: unknown) => {
          // What registries with tags that cannot be moved say: 400, 409, 412.
          const isRefused = error instanceof RegistryError && [400, 409, 412].includes(error.status);
          throw isRefused ? versionExists(root, model, version) : error;
        });
        if ((await digestOf(tag)) !== digest) throw versionExists(root, model, version);
        digests.set(tag, digest);
      }),

    placeOf: (model, version) => {
      const tag = `${model}-${version}`;
      return `${match[1]}/${match[2]}:${tag}@${digests.get(tag)!}`;
    },

    sign: (model, version, sign) =>
      attempt(async () => {
        const digest = digests.get(`${model}-${version}`)!;
        await putSignature(registry, `${match[1]}/${match[2]}`, digest, sign);
      }),
  };
}

interface Descriptor extends Blob {
  readonly mediaType: string;
}

async function putImages(
  registry: OciRegistry,
  model: string,
  version: number,
  files: readonly StoredFile[],
  onBytes: OnBytes,
  chunkBytes: number | undefined,
): Promise<object> {
  const folder = versionPrefix(model, version);
  const layer = await measure(tarStream(folder, files));
  const title = `${model}-${version}.tar`;
  const tell = (bytes: number, wereThere: boolean): void => onBytes(title, bytes, wereThere);
  await putBlob(registry, layer, () => tarStream(folder, files), tell, chunkBytes);
  const annotations = {
    'org.opencontainers.image.title': model,
    'org.opencontainers.image.version': String(version),
    'dev.slipway.manifest.sha256': files.find(({ path }) => path === MANIFEST_FILE)!.sha256,
  };
  const manifests = [];
  for (const architecture of ARCHITECTURES) {
    const config = await putJson(registry, CONFIG, {
      architecture,
      os: 'linux',
      config: { Labels: annotations },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    });
    const image = {
      schemaVersion: 2,
      mediaType: MANIFEST,
      artifactType: ARTIFACT_TYPE,
      config,
      layers: [{ mediaType: LAYER, ...layer, annotations: { 'org.opencontainers.image.title': title } }],
      annotations,
    };
    const content = Buffer.from(JSON.stringify(image));
    const digest = sha256(content);
    await putTag(registry, digest, MANIFEST, content);
    manifests.push({ mediaType: MANIFEST, digest, size: content.byteLength, platform: { os: 'linux', architecture } });
  }
  return { schemaVersion: 2, mediaType: INDEX, manifests, annotations };
}

/** A signature of the image as `cosign sign` leaves it, under a tag that is made of the digest. */
async function putSignature(
  registry: OciRegistry,
  reference: string,
  digest: string,
  sign: (bytes: Uint8Array) => Promise<string>,
): Promise<void> {
  const payload = Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': reference },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
  const layer = await putBytes(registry, SIMPLE_SIGNING, payload);
  const config = await putJson(registry, CONFIG, {
    architecture: '',
    os: '',
    config: {},
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const annotations = { 'dev.cosignproject.cosign/signature': await sign(payload) };
  const image = { schemaVersion: 2, mediaType: MANIFEST, config, layers: [{ ...layer, annotations }] };
  await putTag(registry, `${digest.replace(':', '-')}.sig`, MANIFEST, Buffer.from(JSON.stringify(image)));
}

async function putTag(registry: OciRegistry, reference: string, mediaType: string, body: Uint8Array): Promise<void> {
  const headers = { 'Content-Type': mediaType };
  await (await registry.ask(`manifests/${reference}`, { method: 'PUT', headers, body })).body?.cancel();
}

function putJson(registry: OciRegistry, mediaType: string, value: object): Promise<Descriptor> {
  return putBytes(registry, mediaType, Buffer.from(JSON.stringify(value)));
}

async function putBytes(registry: OciRegistry, mediaType: string, content: Uint8Array): Promise<Descriptor> {
  const blob = { digest: sha256(content), size: content.byteLength };
  await putBlob(
    registry,
    blob,
    () => once(content),
    () => {},
  );
  return { mediaType, ...blob };
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(content);
}

async function tagsOf(registry: OciRegistry): Promise<readonly string[]> {
  const tags: string[] = [];
  // A registry gives a thousand or fewer at a time, and the address of those that follow.
  for (let where: string | URL | undefined = 'tags/list?n=1000'; where !== undefined;) {
    const response: Response = await registry.ask(where, { accepted: [404] });
    if (response.status === 404) return [];
    const page = (await response.json()) as { readonly tags?: readonly string[] | null };
    tags.push(...(page.tags ?? []));
    const next = /<([^>]+)>;\s*rel="?next"?/.exec(response.headers.get('link') ?? '')?.[1];
    where = next === undefined || (page.tags ?? []).length === 0 ? undefined : registry.locate(next);
  }
  return tags;
}

function sha256(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
