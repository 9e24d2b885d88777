import { Agent, request as send } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const { url, body, headers, perSecond, seconds, connections } = workerData;
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const total = Math.round(perSecond * seconds);
const latencies = [];
let sent = 0;
let done = 0;
let refused = 0;
const start = performance.now();

const timer = setInterval(() => {
  const due = Math.min(total, Math.floor(((performance.now() - start) / 1_000) * perSecond));
  while (sent < due) sendOne(start + (sent++ / perSecond) * 1_000);
  if (done === total) finish();
}, 1);

function sendOne(dueAt) {
  const outgoing = send(
    url,
    { method: 'POST', agent, headers: { ...headers, 'Content-Length': body.byteLength } },
    (answer) => {
      answer.resume();
      answer.once('end', () => {
        done += 1;
        if (answer.statusCode === 200) latencies.push(performance.now() - dueAt);
        else if (answer.statusCode === 429) refused += 1;
      });
    },
  );
  outgoing.once('error', () => (done += 1));
  outgoing.end(body);
}

function finish() {
  clearInterval(timer);
  latencies.sort((a, b) => a - b);
  agent.destroy();
  parentPort.postMessage({
    total,
    accepted: latencies.length,
    refused,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN,
  });
}
