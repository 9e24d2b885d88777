import { expect, test } from 'vitest';
import { pythonWith } from '../support/python';
import { writeCases } from './corpus-cases';
import { serveCorpus } from './serve-corpus';

test("a sample of ONNX's own test cases is answered as bare onnxruntime answers it, in JSON, binary and gRPC", async (context) => {
  const python = pythonWith('onnx');
  if (python === undefined) return context.skip('no python3 on the PATH can import onnx');
  const { cases } = writeCases(python, 150);
  const report = await serveCorpus(cases);
  expect(report.different).toEqual([]);
  expect(report.equal.length).toBeGreaterThan(100);
  expect(cases).toHaveLength(150);
}, 180_000);
