import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connectInference } from '../server/grpc/grpc-client';
import { startBundledServer } from '../server/harness/bundled-server';
import { LIGHT_RESNET50 } from '../support/light-models';
import { pythonWith } from '../support/python';
import { runBare } from './bare-runtime';
import { sendBinary, sendGrpc, sendJson } from './send-case';
import { difference, type WireTensor } from './wire-tensor';

const WRITE_OUTPUT = `
import pathlib, sys, onnx
data = pathlib.Path(onnx.__file__).parent / 'backend/test/data/light/light_resnet50_output_0.pb'
pathlib.Path(sys.argv[1]).write_bytes(onnx.numpy_helper.to_array(onnx.load_tensor(data)).astype('<f4').tobytes())
`;

test('a ResNet-50 is answered in each form as bare onnxruntime answers it, and as ONNX expects', async (context) => {
  const python = pythonWith('onnx');
  if (python === undefined) return context.skip('no python3 on the PATH can import onnx');
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-light-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync(python, ['-c', WRITE_OUTPUT, path.join(folder, 'expected')], { stdio: 'pipe', timeout: 60_000 });
  const expected = floatsOf(readFileSync(path.join(folder, 'expected')));

  const count = 3 * 224 * 224;
  // As the runner of ONNX's own tests makes it.
  const values = Float32Array.from({ length: count }, (_, i) => i / count);
  const inputs: readonly WireTensor[] = [
    { name: 'gpu_0/data_0', datatype: 'FP32', shape: [1, 3, 224, 224], bytes: Buffer.from(values.buffer) },
  ];
  const bare = await runBare(LIGHT_RESNET50, inputs);
  if (bare.kind !== 'outputs') throw new Error(bare.reason);
  const server = await startBundledServer([{ name: 'resnet', bytes: readFileSync(LIGHT_RESNET50) }]);
  onTestFinished(async () => void (await server.stop()));
  const grpc = connectInference(Number(new URL(server.grpcUrl).port));
  for (const send of [sendJson(server.url), sendBinary(server.url), sendGrpc(grpc)]) {
    const answer = await send('resnet', inputs);
    if (!('outputs' in answer)) throw new Error(answer.reason);
    expect(difference(bare.outputs[0]!, answer.outputs[0]!)).toBeUndefined();
    floatsOf(answer.outputs[0]!.bytes).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
  }
});

function floatsOf(bytes: Buffer): number[] {
  return [...new Float32Array(new Uint8Array(bytes).buffer)];
}
