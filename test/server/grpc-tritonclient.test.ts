import { execFile, execFileSync } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { identityModel, twoInputsModel } from '../support/onnx-models';
import { toolOnPath } from '../support/tools';
import { plainRepository } from './harness/model-repository';
import { startServer } from './harness/running-server';

const SESSION = path.resolve('test/server/grpc/tritonclient_session.py');

test("tritonclient's gRPC client is understood, and understands", async (context) => {
  const python = pythonWithTritonclient();
  if (python === undefined) return context.skip('no python3 on the PATH can import tritonclient.grpc');
  const server = await startServer({
    modelRepository: plainRepository({
      two: twoInputsModel(),
      words: identityModel({ datatype: 'BYTES', shape: ['batch', 2] }),
      large: identityModel({ shape: ['batch', 'n'] }),
    }),
  });
  const { stdout } = await promisify(execFile)(python, [SESSION, `127.0.0.1:${server.grpcPort}`], { timeout: 50_000 });
  const sums = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  expect(JSON.parse(stdout)).toMatchObject({
    live: true,
    ready: true,
    model_ready: true,
    unknown_ready: false,
    metadata: { name: 'two', versions: ['1'], inputs: [{ name: 'left', datatype: 'FP32', shape: ['-1', '3'] }, {}] },
    config: 32,
    index: { models: [{ state: 'READY' }, { state: 'READY' }, { state: 'READY' }] },
    id: '7',
    sum: sums,
    larger: [
      [false, false, true],
      [true, true, true],
    ],
    zipped: sums,
    classes: [
      ['3.000000:2', '2.000000:1'],
      ['6.000000:2', '5.000000:1'],
    ],
    words: ['a', 'é'],
    large: true,
    error: ['StatusCode.NOT_FOUND', "no model 'nobody' here"],
    streamed: Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? String(i) : "no model 'nobody' here")),
  });
});

function pythonWithTritonclient(): string | undefined {
  const python = toolOnPath('python3');
  if (python === undefined) return undefined;
  try {
    execFileSync(python, ['-c', 'import tritonclient.grpc'], { stdio: 'ignore', timeout: 30_000 });
    return python;
  } catch {
    return undefined;
  }
}
