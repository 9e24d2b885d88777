// Writes generated/onnx-ml_pb.ts from generated/onnx-ml.proto. Run it when the ONNX project releases a new file format:
// take onnx/onnx-ml.proto out of the `onnx` wheel of that release, put it into generated/, then
//
//     node runtime/onnx/generate.mjs
//
// The two tools come through npx at these versions; protoc-gen-es asks for Node 22 or newer. The generator's version
// must equal the version of @bufbuild/protobuf in package.json.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const TOOLS = ['@bufbuild/buf@1.75.0', '@bufbuild/protoc-gen-es@2.17.0'];
const here = fileURLToPath(new URL('.', import.meta.url));
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
    'generated',
    '--template',
    JSON.stringify(template),
  ],
  { cwd: here, stdio: 'inherit' },
);
