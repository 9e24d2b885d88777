const BUCKETS = 'test/model/bucket-stores.test.ts';
const SIGNATURES = 'test/signing/verify-signature.test.ts';
const VERSIONS = 'test/model/versions.test.ts';
const PULL = 'test/server/pull-signature.test.ts';
const OCI = 'test/model/oci-model-store.test.ts';

export const MUTANTS = [
  {
    name: 'a small object of S3 overwrites what another publisher has put there',
    file: 'runtime/model/stores/s3-object-store.ts',
    find: "  return dialect.forbidOverwrite === undefined ? { IfNoneMatch: '*' } : {};\n",
    replace: '  return dialect.forbidOverwrite === undefined ? {} : {};\n',
    test: { file: BUCKETS, name: 'of publishers of one version to s3:// one wins' },
  },
  {
    name: 'OSS and COS are not told to refuse an overwrite',
    file: 'runtime/model/stores/s3-object-store.ts',
    find: ".headers[forbidOverwrite] = 'true';",
    replace: ".headers[forbidOverwrite] = 'false';",
    test: { file: BUCKETS, name: 'of publishers of one version to oss:// one wins' },
  },
  {
    name: 'Google overwrites what is there',
    file: 'runtime/model/stores/gcs-upload.ts',
    find: "uploadType: 'resumable', name, ifGenerationMatch: '0'",
    replace: "uploadType: 'resumable', name",
    test: { file: BUCKETS, name: 'of publishers of one version to gs:// one wins' },
  },
  {
    name: 'Azure writes over what is there',
    file: 'runtime/model/stores/azure-object-store.ts',
    find: "      conditions: { ifNoneMatch: '*' },\n      metadata: metadataOf(file, progress),\n      blobHTTPHeaders: { blobContentType: contentTypeOf(key), blobContentMD5",
    replace:
      '      metadata: metadataOf(file, progress),\n      blobHTTPHeaders: { blobContentType: contentTypeOf(key), blobContentMD5',
    test: { file: BUCKETS, name: 'of publishers of one version to az:// one wins' },
  },
  {
    name: 'twins who publish the same manifest both win',
    file: 'runtime/model/stores/object-model-store.ts',
    find: '?.publisher === publisher;',
    replace: '?.sha256 === manifest.sha256;',
    test: { file: BUCKETS, name: 'of twins who publish the same files to s3:// one wins' },
  },
  {
    name: 'an upload of other bytes is taken for ours',
    file: 'runtime/model/stores/s3-begun-upload.ts',
    find: '    if (!isSame) return undefined;\n',
    replace: '',
    test: { file: BUCKETS, name: 'another file of the same name does not continue an upload to s3://' },
  },
  {
    name: 'what stands under a lock is replaced by who knows something else',
    file: 'runtime/model/stores/replace-under-lock.ts',
    find: '    if ((await store.read(key))?.tag !== tag) return false;\n',
    replace: '',
    test: { file: BUCKETS, name: 'a small file of oss:// is replaced only by who knows what is there' },
  },
  {
    name: 'any signature will do',
    file: 'runtime/signing/verify-signature.ts',
    find: 'if (signer !== undefined) return signer;',
    replace: 'if (keys[0] !== undefined) return keys[0];',
    test: { file: SIGNATURES, name: 'refused as wrong when another key signed' },
  },
  {
    name: 'a manifest without a signature is taken for signed',
    file: 'runtime/signing/verify-signature.ts',
    find: '  if (signature === undefined) {\n',
    replace:
      '  if (signature === undefined && keys[0] !== undefined) return keys[0];\n  if (signature === undefined) {\n',
    test: { file: SIGNATURES, name: 'a manifest without a signature is told from one with a wrong one' },
  },
  {
    name: 'a version is pulled whoever has signed it',
    file: 'runtime/server/pull-model.ts',
    find: 'if (options.verifyKeys !== undefined)',
    replace: "if (options.verifyKeys === '')",
    test: { file: PULL, name: 'nothing is pulled that nobody, or somebody else, has signed' },
  },
  {
    name: 'a collection takes what a label names',
    file: 'runtime/model/versions/collect-garbage.ts',
    find: "  for (const [label, version] of Object.entries(labels)) named.set(version, `label '${label}'`);\n",
    replace: '  if (labels === undefined) return named;\n',
    test: { file: VERSIONS, name: 'a collection keeps what is newest, young, protected or named' },
  },
  {
    name: 'a collection does not look again after a manifest is gone',
    file: 'runtime/model/versions/collect-garbage.ts',
    find: '    if (manifest !== undefined) await store.replace(folder + MANIFEST_FILE, manifest.content, undefined);\n    return false;\n',
    replace: '',
    test: { file: VERSIONS, name: 'a version is never collected that a label comes to name' },
  },
  {
    name: 'a collection deletes without being told to',
    file: 'runtime/model/versions/collect-garbage.ts',
    find: 'else if (options.delete !== true)',
    replace: 'else if (options.delete === false)',
    test: { file: VERSIONS, name: 'without being told to, a collection deletes nothing' },
  },
  {
    name: 'a model whose labels nobody can read is collected',
    file: 'runtime/model/versions/collect-garbage.ts',
    find: '    if (named instanceof Error) say(',
    replace: "    if (named instanceof Error && named.message === '') say(",
    test: { file: VERSIONS, name: 'nothing of a model is collected whose labels or configuration nobody can read' },
  },
  {
    name: 'a promotion does not look whether its version is still there',
    file: 'runtime/model/versions/promote.ts',
    find: '      await confirm(store, model, change);\n',
    replace: '',
    test: { file: VERSIONS, name: 'a promotion that loses its version to a collection' },
  },
  {
    name: 'a tag of a registry is moved to another model',
    file: 'runtime/model/stores/oci-model-store.ts',
    find: '(await digestOf(tag)) !== undefined',
    replace: "(await digestOf(tag)) === ''",
    test: { file: OCI, name: 'a tag that is there is refused' },
  },
  {
    name: 'a collection deletes the version to which a rollback leads',
    file: 'runtime/model/versions/collect-garbage.ts',
    find: '    for (const version of before) named.set(',
    replace: '    for (const version of before.slice(0, 0)) named.set(',
    test: { file: VERSIONS, name: 'a collection leaves the versions to which a label would be taken back' },
  },
  {
    name: 'a publish to a directory clears away what another one is writing',
    file: 'runtime/model/directory-model-store.ts',
    find: 'Date.now() - written > LITTER_MS',
    replace: 'Date.now() - written > 0',
    test: {
      file: 'test/model/directory-model-store.test.ts',
      name: 'removes what a killed publish has left a day ago',
    },
  },
  {
    name: 'a manifest lists a file twice, with two digests',
    file: 'runtime/spec/model-manifest.ts',
    find: "    if (paths.has(file['path'])) refuse(",
    replace: '    if (paths.size < 0) refuse(',
    test: { file: 'test/spec/model-manifest.test.ts', name: 'a file is listed twice' },
  },
  {
    name: 'a KMS that does not answer looks like a wrong key',
    file: 'runtime/model/sign-manifest.ts',
    find: "'SIGNING_KEY_INVALID' : 'SIGNING_KEY_UNREACHABLE'",
    replace: "'SIGNING_KEY_INVALID' : 'SIGNING_KEY_INVALID'",
    test: { file: 'test/model/sign-manifest.test.ts', name: 'a KMS that does not answer is no fault of the key' },
  },
];
