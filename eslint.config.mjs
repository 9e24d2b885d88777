import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

// Who may import what (docs/architecture.md). `folders` are our own, or a part of one; `packages` a pattern of everything that is not relative.
const IMPORT_RULE = {
  'runtime/spec': { folders: [], packages: [] },
  'runtime/onnx': { folders: ['runtime/spec'], packages: ['node:', '@bufbuild/protobuf'] },
  'runtime/preprocess': {
    folders: ['runtime/spec', 'runtime/onnx'],
    packages: ['node:', '@huggingface/tokenizers', 'sharp'],
  },
  'runtime/model': {
    folders: [
      'runtime/spec',
      'runtime/onnx',
      'runtime/preprocess',
      'runtime/signing',
      'runtime/sources',
      'runtime/conformance/grpc-client.ts',
      'runtime/conformance/http-client.ts',
      'runtime/conformance/protobuf.ts',
    ],
    packages: ['node:', '@aws-sdk/', '@azure/storage-blob', 'csv-parse', 'onnxruntime-node', 'sharp', 'yauzl'],
  },
  'runtime/sources': {
    folders: ['runtime/spec', 'runtime/onnx'],
    packages: [
      'node:',
      '@alicloud/credentials',
      '@aws-sdk/client-s3',
      '@aws-sdk/credential-provider-http',
      '@aws-sdk/credential-provider-web-identity',
      '@azure/',
      'google-auth-library',
    ],
  },
  'runtime/signing': { folders: ['runtime/spec'], packages: ['node:'] },
  'runtime/conformance': { folders: ['runtime/spec', 'runtime/onnx'], packages: ['node:', '@bufbuild/protobuf'] },
  'runtime/image': { folders: ['runtime/spec'], packages: ['node:'] },
  'runtime/worker': { folders: ['runtime/spec'], packages: ['node:', '@aws-sdk/client-s3', '@aws-sdk/client-sqs'] },
  'runtime/canary': { folders: ['runtime/spec'], packages: ['node:'] },
  'runtime/smoke-test': {
    folders: ['runtime/spec', 'runtime/onnx', 'runtime/model/tolerance.ts'],
    packages: ['node:', '@aws-sdk/client-s3'],
  },
  'runtime/server': {
    // The doctor's rules are shown by the server as well.
    folders: [
      'runtime/spec',
      'runtime/onnx',
      'runtime/preprocess',
      'runtime/model/doctor',
      'runtime/signing',
      'runtime/sources',
    ],
    packages: [
      'node:',
      '@bufbuild/protobuf',
      '@opentelemetry/',
      'csv-parse',
      'jose',
      'koffi',
      'onnxruntime-node',
      'pino',
      'prom-client',
      'sharp',
    ],
  },
  'runtime/testing': {
    folders: ['runtime/spec'],
    packages: ['node:', '@pulumi/pulumi', '@grpc/grpc-js', 'google-protobuf'],
  },
  cdk: { folders: ['runtime/spec', 'runtime/onnx', 'runtime/image'], packages: ['node:', 'aws-cdk-lib', 'constructs'] },
  pulumi: { folders: ['runtime/spec', 'runtime/onnx', 'runtime/image'], packages: ['node:', '@pulumi/'] },
};
const FOLDERS = [...Object.keys(IMPORT_RULE), 'runtime/cli', 'test', 'scripts'];

const zones = Object.entries(IMPORT_RULE).flatMap(([target, { folders }]) =>
  FOLDERS.filter((from) => from !== target && !folders.includes(from)).map((from) => ({
    target: `./${target}`,
    from: `./${from}`,
    except: folders.filter((folder) => folder.startsWith(`${from}/`)).map((folder) => `.${folder.slice(from.length)}`),
    message: `${target} may import ${folders.length === 0 ? 'none of our folders' : folders.join(' and ')} (docs/architecture.md)`,
  })),
);

const packageRules = Object.entries(IMPORT_RULE).map(([target, { packages }]) => ({
  files: [`${target}/**/*.{ts,mts}`],
  // Examples are what users write: they import the published names.
  ignores: ['cdk/examples/**', 'pulumi/examples/**'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            regex: `^(?!\\.{1,2}(/|$)${packages.map((name) => `|${name.replace('/', '\\/')}${/[:/]$/.test(name) ? '' : '(/|$)'}`).join('')})`,
            message: `${target} may import ${packages.length === 0 ? 'no package and no node: module' : packages.join(', ')} (docs/architecture.md)`,
          },
        ],
      },
    ],
  },
}));

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'cdk.out/',
      '.slipway/',
      '.bench/',
      '.tools/',
      '.venv*/',
      'runtime/onnx/generated/',
      'runtime/server/grpc/generated/',
      'test/fixtures/',
      'models/',
      '**/node_modules/',
      // Projects of their own, type-checked as users would have them, by the tests that run them.
      'pulumi/examples/',
      'test/package/projects/',
      'docs/examples/',
    ],
  },
  {
    files: ['**/*.{ts,mts}'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.mts', '.js', '.mjs'] })] },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
    },
  },
  { files: ['runtime/cli/**', 'test/**', 'bench/**', 'cdk/examples/**'], rules: { 'no-console': 'off' } },
  {
    // Tests look into parsed JSON, templates and recordings, where everything is any.
    files: ['test/**'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  ...packageRules,
);
