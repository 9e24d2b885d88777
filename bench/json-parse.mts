// Microseconds of the server's own reading of a JSON tensor of 150,528 floats, and of JSON.parse on the same text.
import { parseInferRequest } from '../runtime/server/infer-request.js';
import { IMAGE } from './models.mjs';
import { jsonRequest } from './requests.mjs';

const input = { model: 'first4', shape: [1, ...IMAGE] };
const { body } = jsonRequest('http://127.0.0.1', input);
const target = {
  name: 'first4',
  inputs: [{ name: 'input', datatype: 'FP32', shape: ['batch', ...IMAGE] }],
  outputs: [{ name: 'output', datatype: 'FP32', shape: ['batch', 4] }],
  maxRows: 32,
} as const;

const decoder = new TextDecoder();
const pairs = Array.from({ length: 40 }, () => [
  time(() => parseInferRequest(body, undefined, target)),
  time(() => JSON.parse(decoder.decode(body))),
]);
console.log(JSON.stringify(pairs.slice(10)));

function time(run: () => unknown): number {
  const start = performance.now();
  run();
  return (performance.now() - start) * 1_000;
}
