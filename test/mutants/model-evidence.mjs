// What a manifest says beyond digests, and who may believe it.
const EVIDENCE = 'test/server/evidence.test.ts';
const USERS = 'test/server/user-data.test.ts';
const PUBLISH = 'test/model/publish-descriptions.test.ts';
const PREPROCESSOR = 'test/preprocess/preprocessor.test.ts';
const PICTURE = 'test/preprocess/picture.test.ts';

export const MUTANTS = [
  {
    name: 'evidence: an evaluation of other bytes counts',
    file: 'runtime/spec/model-manifest.ts',
    find: 'const other = model.find(({ path, sha256 }) => digests.get(path) !== sha256);',
    replace: 'const other = model.find(({ path }) => !digests.has(path));',
    test: { file: EVIDENCE, name: 'takes no evaluation of other bytes for evidence' },
  },
  {
    name: 'evidence: weights beside the model need no evaluation',
    file: 'runtime/server/model-evidence.ts',
    find: '&& bytes === facts.fileBytes',
    replace: '&& bytes <= facts.fileBytes',
    test: { file: EVIDENCE, name: 'takes no evaluation of other bytes for evidence' },
  },
  {
    name: 'evidence: a version without an evaluation is served',
    file: 'runtime/server/served-model.ts',
    find: 'if (this.options.settings.requireEvidence) assertEvidence(',
    replace: 'if (this.options.settings.requireEvidence && model.manifest?.evaluation) assertEvidence(',
    test: { file: EVIDENCE, name: 'is not ready with any other, and says what is missing' },
  },
  {
    name: 'evidence: an evaluation that asked for nothing proves something',
    file: 'runtime/server/model-evidence.ts',
    find: 'if (evaluation.gates.length === 0)',
    replace: 'if (evaluation.gates.length < 0)',
    test: { file: EVIDENCE, name: 'is not ready with any other, and says what is missing' },
  },
  {
    name: 'evidence: a gate says of itself that it was passed',
    file: 'runtime/spec/evaluation-evidence.ts',
    find: 'if (passed !== isPassed)',
    replace: 'if (typeof passed !== typeof isPassed)',
    test: { file: PUBLISH, name: 'whose verdict is not what its numbers say' },
  },
  {
    name: 'evidence: an evaluation of another file is published',
    file: 'runtime/model/manifest-descriptions.ts',
    find: 'if (covered.get(path) === sha256) continue;',
    replace: 'if (covered.has(path)) continue;',
    test: { file: PUBLISH, name: 'of another file is refused' },
  },
  {
    name: 'evidence: a model that failed its gates is published',
    file: 'runtime/model/manifest-descriptions.ts',
    find: 'if (!value.passed) {',
    replace: 'if (value.gates.length < 0) {',
    test: { file: PUBLISH, name: 'that failed is not published' },
  },
  {
    name: 'evidence: a history of other bytes is published',
    file: 'runtime/model/manifest-descriptions.ts',
    find: 'provenance !== undefined && !endsWith(',
    replace: 'provenance !== undefined && false && !endsWith(',
    test: { file: PUBLISH, name: 'grows by a step with every tool' },
  },
  {
    name: 'signature: a manifest is served unsigned',
    file: 'runtime/server/fetch-model.ts',
    find: 'const signer = await verifyManifest(bytes, reference, options.signingKeys, options);',
    replace: "const signer = await verifyManifest(bytes, reference, options.signingKeys, options).catch(() => '');",
    test: { file: EVIDENCE, name: 'is not ready with a version that is not signed' },
  },
  {
    name: 'signature: a version without a manifest needs none',
    file: 'runtime/server/fetch-model.ts',
    find: 'if (options.signingKeys !== undefined) throw',
    replace: 'if (options.signingKeys?.length === 0) throw',
    test: { file: EVIDENCE, name: 'is not ready with a version that is not signed' },
  },
  {
    name: 'signature: a deployment puts other files under a signed manifest',
    file: 'runtime/server/fetch-model.ts',
    find: '      assertListed(wanted, manifest);\n',
    replace: '',
    test: { file: EVIDENCE, name: 'holds files that a deployment names by digest' },
  },
  {
    name: 'signature: a private key gets into templates',
    file: 'runtime/spec/inference-service-plan.ts',
    find: "blocks.every((kind) => kind === 'PUBLIC KEY')",
    replace: "blocks.some((kind) => kind === 'PUBLIC KEY')",
    test: { file: 'test/spec/inference-service-plan.test.ts', name: 'never writes a private key into a template' },
  },
  {
    name: 'preprocessing: a text of any length is cut up',
    file: 'runtime/preprocess/tokenizer.ts',
    find: 'if (text.length > this.maxCharacters) {',
    replace: 'if (text.length > 64 * this.maxCharacters) {',
    test: { file: PREPROCESSOR, name: 'that is longer than any text is refused before it is cut up' },
  },
  {
    name: 'preprocessing: a sliver of a picture is made enormous',
    file: 'runtime/preprocess/picture.ts',
    find: 'if (Math.max(wanted.width, wanted.height) > MAX_SIDE) {',
    replace: 'if (Math.min(wanted.width, wanted.height) > MAX_SIDE) {',
    test: { file: PICTURE, name: 'what is no picture, or too much of one, is refused' },
  },
  {
    name: 'preprocessing: rows are counted behind the work',
    file: 'runtime/server/protocols/user-input.ts',
    find: 'if (rows.length > most) {',
    replace: 'if (rows.length > 1_000 * most) {',
    test: { file: USERS, name: 'too many rows are refused before any of them costs work' },
  },
  {
    name: 'preprocessing: a manifest asks for pictures of any size',
    file: 'runtime/spec/preprocessing.ts',
    find: 'if (!isInteger(width, 1, side))',
    replace: 'if (!isInteger(width, 1, 2 ** 31))',
    test: { file: PUBLISH, name: 'that a server could not use is refused, by field' },
  },
  {
    name: 'preprocessing: samples are taken half a pixel aside',
    file: 'runtime/preprocess/resample.ts',
    find: 'const centre = (i + 0.5) * scale;',
    replace: 'const centre = i * scale + 0.5;',
    test: { file: PICTURE, name: 'a picture is resampled as Pillow does it' },
  },
  {
    name: 'preprocessing: a category is what every object has',
    file: 'runtime/preprocess/columns-input.ts',
    find: 'const index = indices.get(String(value));',
    replace: 'const index = indices.get(String(value)) ?? (({}) as any)[String(value)];',
    test: { file: PREPROCESSOR, name: 'that are missing, or hold what the model never saw' },
  },
];
