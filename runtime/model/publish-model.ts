import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MANIFEST_SCHEMA, serializeManifest, type ModelManifest } from '../spec/model-manifest';
import { assertModelName, MANIFEST_FILE, SBOM_FILE, SIGNATURE_FILE, versionPrefix } from '../spec/model-repository';
import type { IndexedVersion } from '../spec/repository-index';
import { readOnnxModel } from '../onnx/read-onnx-model';
import { verifySignature } from '../signing/verify-signature';
import { assertUnpublished, chooseVersion } from './choose-version';
import { readCompiledFiles } from './compile/compiled-files';
import { readCompanions, type CompanionOptions } from './companion-files';
import { makeGoldenProof, type GoldenOptions } from './golden-proof';
import { readDescriptions, type DescriptionOptions } from './manifest-descriptions';
import { modelSbom } from './model-sbom';
import type { ModelStore, OnBytes, StoredFile } from './model-store';
import { openModelStore } from './open-model-store';
import { PublishError } from './publish-error';
import { openSigner, type Signer } from './sign-manifest';

export interface PublishOptions extends GoldenOptions, CompanionOptions, DescriptionOptions {
  /** The ONNX file; its external data lies beside it, as the file itself says. */
  readonly source: string;
  /** The model's name: 1 to 128 letters, digits, `.`, `_`, `-`. */
  readonly name: string;
  /**
   * The model repository: `s3://bucket/prefix`, `gs://`, `oss://`, `cos://`, `az://account/container/prefix`,
   * `oci://registry/repository`, `file:///path`, or a
   * directory, which is made when it is missing.
   */
  readonly repository: string;
  /** @default - one more than the highest version that is there; 1 for the first */
  readonly version?: number;
  /** False leaves the golden proof out: replicas then only warm up. @default true */
  readonly golden?: boolean;
  /** Where to put a copy of the manifest for the infrastructure program. @default - nowhere */
  readonly manifestFile?: string;
  /** Signs the manifest: a PEM file with a private key on P-256, or `awskms:///<key>`. @default - it is not signed */
  readonly signKey?: string;
  /** Leaves a bill of materials in CycloneDX's format beside the model. @default false */
  readonly sbom?: boolean;
  /** Told of what has arrived, and what an interrupted publish had left. @default - nobody is */
  readonly onBytes?: OnBytes;
}

export interface PublishedModel {
  readonly manifest: ModelManifest;
  /** SHA-256 of the manifest's bytes, in lower-case hexadecimal. */
  readonly manifestSha256: string;
  /** The folder of the version, with a closing slash; in a registry, the image: `registry/repository:digits-1@sha256:…`. */
  readonly uri: string;
  /**
   * Why the version could not be entered in the repository's index: it is published all the same, and servers with hot
   * reload notice it later, by listing.
   * @default - it was entered, or the repository needs no index
   */
  readonly indexFailure?: string;
  /** SHA-256 of the key that signed. @default - the version is not signed */
  readonly signedBy?: string;
}

/**
 * Publishes one model version: the ONNX file and its external data, its configuration, hooks and labels, what its
 * preprocessing needs, what was compiled of it, the golden proof, and last the manifest, whose presence makes the version complete. A version that is
 * there is never changed.
 * What an interrupted publish of the same files has left in a bucket is not sent again.
 * @throws OnnxFileError for the file, SpecError for name, version and configuration, SigningError for the key, PublishError for
 * everything else.
 */
export async function publishModel(options: PublishOptions): Promise<PublishedModel> {
  assertModelName(options.name, 'name');
  const model = readOnnxModel(options.source);
  const descriptions = await readDescriptions(model, options);
  const otherNames = descriptions.files.map((file) => file.path);
  const companions = readCompanions(model, { ...options, otherNames });
  const store = await openModelStore(options.repository);
  const signer = options.signKey === undefined ? undefined : await openSigner(options.signKey);
  await assertUnpublished(store, options.name, options.version);
  const proof =
    options.golden === false
      ? undefined
      : await makeGoldenProof(options.source, model.facts, options, descriptions.preprocessing);

  const compiled = await readCompiledFiles(options.source, model);
  const contents = [...model.files, ...companions.files, ...descriptions.files, ...(proof?.files ?? []), ...compiled];
  const version = await chooseVersion(store, options.name, options.version, contents);
  const described = {
    name: options.name,
    version,
    files: listed(contents),
    facts: { ...model.facts, ...(companions.executors === undefined ? {} : { executors: companions.executors }) },
    ...(proof === undefined ? {} : { golden: proof.golden }),
    ...(companions.labels === undefined ? {} : { labels: companions.labels }),
    ...descriptions.entries,
  };
  const files = options.sbom === true ? [...contents, inMemory(SBOM_FILE, modelSbom(described))] : contents;
  const manifest: ModelManifest = { schema: MANIFEST_SCHEMA, ...described, files: listed(files) };
  const manifestFile = inMemory(MANIFEST_FILE, serializeManifest(manifest));
  const { content, sha256: manifestSha256 } = manifestFile;
  const signature = signer === undefined ? [] : [await sign(signer, content)];
  await store.write(options.name, version, [...files, ...signature], manifestFile, options.onBytes);
  if (signer !== undefined) await store.sign?.(options.name, version, signer.sign);
  const uri = store.placeOf?.(options.name, version) ?? store.uri + versionPrefix(options.name, version);
  const indexFailure = await announce(store, { name: options.name, version, manifestSha256 });
  if (options.manifestFile !== undefined) await leaveManifest(options.manifestFile, content, uri);
  return {
    manifest,
    manifestSha256,
    uri,
    ...(indexFailure === undefined ? {} : { indexFailure }),
    ...(signer === undefined ? {} : { signedBy: signer.publicKey.fingerprint }),
  };
}

function listed(files: readonly StoredFile[]): ModelManifest['files'] {
  return files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }));
}

function inMemory(path: string, text: string): StoredFile & { readonly content: Uint8Array } {
  const content = Buffer.from(text);
  return { path, bytes: content.byteLength, sha256: createHash('sha256').update(content).digest('hex'), content };
}

/** No file of the manifest, which it signs. One that is there from an earlier try is as good when it is of these bytes. */
async function sign(signer: Signer, manifest: Uint8Array): Promise<StoredFile> {
  const accepts = (content: Uint8Array): boolean => {
    try {
      verifySignature(manifest, Buffer.from(content).toString('utf8'), [signer.publicKey], SIGNATURE_FILE);
      return true;
    } catch {
      return false;
    }
  };
  return { ...inMemory(SIGNATURE_FILE, await signer.sign(manifest)), accepts };
}

/** The version is out, so a publisher who may write its model's prefix alone has not failed. */
async function announce(store: ModelStore, version: IndexedVersion): Promise<string | undefined> {
  try {
    await store.announce?.(version);
    return undefined;
  } catch (error) {
    if (PublishError.is(error)) return error.message;
    throw error;
  }
}

async function leaveManifest(path: string, content: Uint8Array, uri: string): Promise<void> {
  try {
    await writeWhole(path, content);
  } catch (error) {
    // The version is out and stays: publishing again would only make the next one.
    throw new PublishError(
      'MANIFEST_FILE_UNWRITABLE',
      path,
      `${(error as Error).message}; ${uri} is published, copy its ${MANIFEST_FILE}`,
    );
  }
}

/** Replaces a file by one rename, so that nobody reads half of it. */
async function writeWhole(path: string, content: Uint8Array): Promise<void> {
  const unfinished = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(unfinished, content);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
