// Clients of a server, in a process of their own: what the test itself does never delays them. Started by load.ts, which
// describes the messages.
import { Agent, request } from 'node:http';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const PROTOS = path.resolve('runtime/server/grpc/protos');
const { inference } = grpc.loadPackageDefinition(
  loadSync(path.join(PROTOS, 'inference/grpc_service.proto'), { includeDirs: [PROTOS], keepCase: true, longs: String }),
);

const MAX_EVENTS = 20_000;
const okCounts = {};
const events = [];
let isStopped = false;
let clients = [];

process.on('message', (message) => {
  if (message.start !== undefined) clients = startClients(message.start);
  if (message.report) process.send({ report: { ok: okCounts, events } });
  if (message.stop) {
    isStopped = true;
    void Promise.all(clients).then(() => process.send({ stopped: { ok: okCounts, events } }, () => process.exit(0)));
  }
});
process.on('disconnect', () => process.exit(0));

function startClients({ url, grpcPort, models, clients: counts, largestRows, pauseMs, timeoutSeconds, leaveAfterMs }) {
  const send = { binary: overHttp(url, binaryBody), json: overHttp(url, jsonBody), grpc: overGrpc(grpcPort) };
  return Object.entries(counts).flatMap(([protocol, count]) =>
    Array.from({ length: count }, async (_, i) => {
      const client = { agent: new Agent({ keepAlive: true, maxSockets: 1 }), number: i };
      while (!isStopped) {
        const model = models[Math.floor(Math.random() * models.length)];
        const ask = questionOf(model, largestRows);
        const sentAt = Date.now();
        const isLeaver = leaveAfterMs !== undefined && i % 3 === 0;
        const options = { timeoutSeconds, leaveAfterMs: isLeaver ? Math.random() * leaveAfterMs : undefined };
        const { outcome, detail = '' } = await send[protocol](client, ask, options).catch((error) => ({
          outcome: 'failed',
          detail: `${error.code ?? ''} ${error.message}`,
        }));
        if (outcome === 'ok') okCounts[protocol] = (okCounts[protocol] ?? 0) + 1;
        else if (events.length < MAX_EVENTS) {
          events.push({ outcome, detail, protocol, model: model.name, sentAt, endedAt: Date.now() });
        }
        // Whoever was refused comes back a little later.
        await wait(outcome === 'ok' ? pauseMs : Math.max(20, pauseMs));
      }
      client.agent.destroy();
      client.grpc?.close();
    }),
  );
}

/** A request whose numbers nobody else sends at the same time: a wrong answer shows. */
function questionOf({ name, input, output, datatype, width, largest, steps }, largestRows) {
  const rows = 1 + Math.floor(Math.random() * largestRows);
  const values = Array.from({ length: rows * width }, () => Math.floor(Math.random() * largest));
  return { name, input, output, datatype, shape: [rows, width], values, steps };
}

function outcomeOf({ values, steps }, answered) {
  const step = answered[0] - values[0];
  const isRight =
    steps.includes(step) &&
    answered.length === values.length &&
    values.every((value, i) => answered[i] === value + step);
  return isRight ? { outcome: 'ok' } : { outcome: 'wrong', detail: `${values.join()} gave ${answered.join()}` };
}

function jsonBody({ input, shape, datatype, values }) {
  const body = Buffer.from(JSON.stringify({ inputs: [{ name: input, shape, datatype, data: values }] }));
  return { body, headers: { 'content-type': 'application/json' } };
}

function binaryBody({ input, output, shape, datatype, values }) {
  const data = bytesOf(datatype, values);
  const header = Buffer.from(
    JSON.stringify({
      inputs: [{ name: input, shape, datatype, parameters: { binary_data_size: data.length } }],
      outputs: [{ name: output, parameters: { binary_data: true } }],
    }),
  );
  return {
    body: Buffer.concat([header, data]),
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': header.length },
  };
}

function bytesOf(datatype, values) {
  const array = datatype === 'FP32' ? Float32Array.from(values) : BigInt64Array.from(values, BigInt);
  return Buffer.from(array.buffer);
}

function numbersOf(datatype, bytes) {
  const own = new Uint8Array(bytes).buffer;
  return datatype === 'FP32' ? [...new Float32Array(own)] : [...new BigInt64Array(own)].map(Number);
}

function overHttp(url, bodyOf) {
  return (client, ask, { timeoutSeconds, leaveAfterMs }) =>
    new Promise((resolve) => {
      const { body, headers } = bodyOf(ask);
      const timeout = timeoutSeconds === undefined ? {} : { 'x-request-timeout': String(timeoutSeconds) };
      let hasLeft = false;
      const sent = request(
        `${url}/v2/models/${ask.name}/infer`,
        {
          method: 'POST',
          agent: client.agent,
          headers: {
            ...headers,
            ...timeout,
            'content-length': body.length,
            'x-tenant-id': `tenant ${client.number % 5}`,
          },
        },
        (response) => {
          const chunks = [];
          response.on('data', (chunk) => chunks.push(chunk));
          response.on('error', ({ message }) =>
            resolve(hasLeft ? { outcome: 'left' } : { outcome: 'failed', detail: message }),
          );
          response.on('end', () => resolve(answerOf(ask, response, Buffer.concat(chunks))));
        },
      );
      sent.on('error', (error) => {
        if (hasLeft) resolve({ outcome: 'left' });
        else if (error.code === 'ECONNREFUSED') resolve({ outcome: 'not connected' });
        else
          resolve({
            outcome: 'reset',
            detail: `${error.code} ${error.message}, ${sent.reusedSocket ? 'old' : 'new'} connection`,
          });
      });
      sent.end(body);
      if (leaveAfterMs !== undefined) {
        setTimeout(() => {
          hasLeft = true;
          sent.destroy();
        }, leaveAfterMs);
      }
    });
}

function answerOf(ask, { statusCode, headers }, bytes) {
  if (statusCode === 200) {
    const length = headers['inference-header-content-length'];
    if (length !== undefined) return outcomeOf(ask, numbersOf(ask.datatype, bytes.subarray(Number(length))));
    return outcomeOf(ask, JSON.parse(bytes.toString()).outputs[0].data);
  }
  const detail = `${statusCode} ${bytes.toString()}`;
  if (statusCode === 504) return { outcome: 'late', detail };
  const isRefusal = (statusCode === 429 || statusCode === 503) && Number(headers['retry-after']) >= 1;
  return { outcome: isRefusal ? 'refused' : 'failed', detail };
}

function overGrpc(port) {
  return (client, ask, { timeoutSeconds, leaveAfterMs }) => {
    client.grpc ??= new inference.GRPCInferenceService(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 50,
    });
    const { name, input, datatype, shape, values } = ask;
    const message = {
      model_name: name,
      inputs: [{ name: input, datatype, shape }],
      raw_input_contents: [bytesOf(datatype, values)],
    };
    const options = timeoutSeconds === undefined ? {} : { deadline: Date.now() + 1_000 * timeoutSeconds };
    return new Promise((resolve) => {
      const call = client.grpc.ModelInfer(message, new grpc.Metadata(), options, (error, answer) => {
        if (error === null) resolve(outcomeOf(ask, numbersOf(datatype, answer.raw_output_contents[0])));
        else resolve(grpcFailure(error));
      });
      if (leaveAfterMs !== undefined) setTimeout(() => call.cancel(), leaveAfterMs);
    });
  };
}

function grpcFailure({ code, details, metadata }) {
  const detail = `gRPC ${code} ${details}`;
  const { CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE } = grpc.status;
  if (code === CANCELLED) return { outcome: 'left' };
  if (code === DEADLINE_EXCEEDED) return { outcome: 'late', detail };
  const isRefusal = code === RESOURCE_EXHAUSTED || code === UNAVAILABLE;
  // Only the server knows when to come again; without that word it is grpc-js itself that says so.
  if (isRefusal && metadata.get('grpc-retry-pushback-ms').length > 0) return { outcome: 'refused', detail };
  if (code === UNAVAILABLE && /ECONNREFUSED|No connection established/.test(details))
    return { outcome: 'not connected', detail };
  return { outcome: code === UNAVAILABLE ? 'reset' : 'failed', detail };
}
