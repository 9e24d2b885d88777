// `slipway serve` on free ports, for as long as an example needs it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { SLIPWAY } from './commands.mjs';

const FREE_PORTS = ['--http-port', '0', '--grpc-port', '0', '--metrics-port', '0'];

/** @returns its address, and how to end it as Ctrl-C does */
export async function startServer(...flags) {
  console.error(`$ slipway serve ${flags.join(' ')}`);
  const child = spawn(process.execPath, [SLIPWAY, 'serve', ...flags, ...FREE_PORTS], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const closed = once(child, 'close');
  const ready = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        log += text;
        if (log.includes('"msg":"ready"')) resolve('ready');
      });
    }
  });
  if ((await Promise.race([ready, closed])) !== 'ready') throw new Error(`the server did not start:\n${log}`);
  const { httpPort } = JSON.parse(log.split('\n').find((line) => line.includes('"msg":"listening"')));
  return {
    url: `http://127.0.0.1:${httpPort}`,
    stop: async () => {
      child.kill('SIGINT');
      await closed;
    },
  };
}

/** What `/predict/<model>` answers to what a user has: a picture, a sentence, records. */
export async function predict(url, model, type, body) {
  const response = await fetch(`${url}/predict/${model}`, { method: 'POST', headers: { 'Content-Type': type }, body });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()).predictions;
}
