import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { TensorProtoSchema } from '../../runtime/onnx/generated/onnx-ml_pb';
import { matmulModel } from '../support/onnx-models';

const SIDE = 16_384;
const WEIGHT_BYTES = SIDE * SIDE * 4;

/** A model with 1 GiB of weights inside, all zero, in a file with a hole: protocol buffers join the parts of a message. */
function writeHugeModel(file: string): void {
  const dims = [BigInt(SIDE), BigInt(SIDE)];
  const tensor = toBinary(TensorProtoSchema, create(TensorProtoSchema, { name: 'huge', dataType: 1, dims }));
  const rawData = new BinaryWriter().tag(9, WireType.LengthDelimited).uint32(WEIGHT_BYTES).finish();
  const tensorBytes = tensor.length + rawData.length + WEIGHT_BYTES;
  const initializer = new BinaryWriter().tag(5, WireType.LengthDelimited).uint32(tensorBytes).finish();
  const graph = new BinaryWriter()
    .tag(7, WireType.LengthDelimited)
    .uint32(initializer.length + tensorBytes)
    .finish();
  const beginning = Buffer.concat([matmulModel(), graph, initializer, tensor, rawData]);
  const opened = openSync(file, 'w');
  writeSync(opened, beginning);
  ftruncateSync(opened, beginning.length + WEIGHT_BYTES);
  closeSync(opened);
}

test('a model of 1 GiB is inspected in less than 200 MB of memory, digest and cost included', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-huge-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'model.onnx');
  writeHugeModel(file);
  const program = `
    const { inspectModel } = require('${path.join(__dirname, '../../runtime/model/inspect-model.ts')}');
    const { model } = inspectModel(process.argv[1]);
    console.log(JSON.stringify({ bytes: model.facts.weightBytes, peak: process.resourceUsage().maxRSS * 1024 }));`;
  const out = execFileSync(process.execPath, ['--require', 'tsx/cjs', '-e', program, file], { encoding: 'utf8' });
  const { bytes, peak } = JSON.parse(out) as { bytes: number; peak: number };
  expect(bytes).toBeGreaterThan(WEIGHT_BYTES);
  expect(peak).toBeLessThan(200e6);
}, 120_000);
