import { expect, test } from 'vitest';
import { pythonWith } from '../support/python';
import { writeCases } from './corpus-cases';
import { serveCorpus } from './serve-corpus';

test("every one of ONNX's own test cases is answered as bare onnxruntime answers it, in JSON, binary and gRPC", async (context) => {
  const python = pythonWith('onnx');
  if (python === undefined) return context.skip('no python3 on the PATH can import onnx');
  const { onnx, all, carried, cases } = writeCases(python, 0);
  const { equal, refused, failed, random, different } = await serveCorpus(cases);
  console.log(
    `onnx ${onnx}: ${all} cases, ${carried} of tensors that can be carried: ${equal.length} equal, ` +
      `${refused.length} refused by both, ${failed.length} fail in both, ${random.length} random (${random.join()})`,
  );
  expect(different).toEqual([]);
  expect(equal.length).toBeGreaterThan(1_300);
}, 1_800_000);
