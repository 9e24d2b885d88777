// The least that an HTTP server in front of an executor can be: node:http, one worker thread with one session, a body that is
// handed over, an answer that comes back. No checks, no metrics, one protocol, one request at a time. It shows what Node,
// the system and the caches of the processor take of a share before a server does anything of its own.
//   node least-server.mjs PORT MODEL WIDTH
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

if (isMainThread) serve(...process.argv.slice(2));
else await execute(workerData);

function serve(port, model, width) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { model, width: Number(width) } });
  const waiting = [];
  let current;
  const next = () => {
    if (current !== undefined || waiting.length === 0) return;
    current = waiting.shift();
    worker.postMessage(current.tensor, [current.tensor]);
  };
  const server = createServer((request, response) => {
    const body = new Uint8Array(Number(request.headers['content-length']));
    let at = 0;
    request.on('data', (chunk) => {
      body.set(chunk, at);
      at += chunk.byteLength;
    });
    request.on('end', () => {
      const tensor = body.slice(Number(request.headers['inference-header-content-length'])).buffer;
      waiting.push({ tensor, response });
      next();
    });
  });
  worker.on('message', (output) => {
    if (output === 'ready') {
      server.listen(Number(port), '127.0.0.1');
      return;
    }
    const { response } = current;
    current = undefined;
    next();
    response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': output.byteLength });
    response.end(new Uint8Array(output));
  });
}

async function execute({ model, width }) {
  process.env.ORT_DISABLE_TELEMETRY = '1';
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  parentPort.on('message', async (tensor) => {
    const { output } = await session.run({ input: new Tensor('float32', new Float32Array(tensor), [1, width]) });
    const { buffer } = output.data;
    parentPort.postMessage(buffer, [buffer]);
  });
  parentPort.postMessage('ready');
}
