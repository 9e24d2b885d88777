// Writes generated/ from protos/. Run it after a change there:
//
//     node runtime/server/grpc/generate.mjs
//
// The tools come through npx at these versions, with a Node of their own because protoc-gen-es asks for 22 or newer. The
// generator's version must equal the version of @bufbuild/protobuf in package.json.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const TOOLS = ['node@22', '@bufbuild/buf@1.75.0', '@bufbuild/protoc-gen-es@2.17.0'];
const template = {
  version: 'v2',
  plugins: [{ local: 'protoc-gen-es', out: 'generated', opt: ['target=ts', 'import_extension=none'] }],
};

execFileSync(
  'npx',
  [
    '--yes',
    ...TOOLS.map((tool) => `--package=${tool}`),
    '--',
    'buf',
    'generate',
    'protos',
    '--template',
    JSON.stringify(template),
  ],
  { cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: 'inherit' },
);
