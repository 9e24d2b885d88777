// The Python servers that are compared, each in a virtual environment of its own, pinned.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { has } from './load.mjs';
import { start, untilReady, type Started } from './processes.mjs';

const RUNTIME = ['onnxruntime==1.30.0', 'numpy'];
const PACKAGES = {
  fastapi: ['fastapi==0.165.0', 'uvicorn[standard]==0.54.0'],
  bentoml: ['bentoml==1.4.39'],
  litserve: ['litserve==0.2.19'],
  mlserver: ['mlserver==1.7.1'],
  ray: ['ray[serve]==2.60.0'],
} as const;
/** `fastapi-standard` is FastAPI on uvicorn[standard], `fastapi` on what `pip install uvicorn` gives. */
export type Peer = keyof typeof PACKAGES | 'fastapi-standard';

export function installPeers(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [peer, packages] of Object.entries(PACKAGES)) {
    const place = join(folder, peer);
    if (existsSync(join(place, 'done'))) continue;
    execFileSync('python3', ['-m', 'venv', place], { stdio: 'inherit' });
    execFileSync(join(place, 'bin', 'pip'), ['install', '--quiet', ...packages, ...RUNTIME], { stdio: 'inherit' });
    writeFileSync(join(place, 'done'), '');
  }
}

export interface RunningPeer extends Started {
  readonly url: string;
  /** The process in whose network it listens. @default - this one's */
  readonly network?: number;
}

/** Starts a peer with one model on one core, a single worker, and one thread for a run. */
export async function startPeer(
  peer: Peer,
  options: { peers: string; bench: string; folder: string; model: string; port: number; core: string },
): Promise<RunningPeer> {
  const { peers, bench, folder, model, port, core } = options;
  const isFastapi = peer === 'fastapi' || peer === 'fastapi-standard';
  const bin = join(peers, isFastapi ? 'fastapi' : peer, 'bin');
  const python = join(bin, 'python');
  if (!existsSync(python)) throw new Error(`${peer} is not installed; npm run bench -- --install-peers`);
  const script = join(bench, 'peers', `${isFastapi ? 'fastapi' : peer}_server.py`);
  const environment = {
    MODEL_FILE: model,
    PLAIN: peer === 'fastapi' ? '1' : '0',
    OMP_NUM_THREADS: '1',
    PYTHONPATH: join(bench, 'peers'),
    BENTOML_DO_NOT_TRACK: 'True',
    // A line for each request would be what is measured.
    BENTOML_CONFIG_OPTIONS: 'api_server.logging.access.enabled=false',
    RAY_USAGE_STATS_ENABLED: '0',
  };
  const base = `http://127.0.0.1:${port}`;
  const place = { cores: core, environment, directory: folder };
  switch (peer) {
    case 'fastapi':
    case 'fastapi-standard': {
      const started = start([python, script, model, String(port)], place);
      await untilReady(`${base}/ready`, started);
      return { ...started, url: `${base}/v2/models/tiny/infer` };
    }
    case 'litserve': {
      const started = start([python, script, model, String(port)], place);
      await untilReady(`${base}/health`, started, 120);
      return { ...started, url: `${base}/predict` };
    }
    case 'bentoml': {
      const command = [
        join(bin, 'bentoml'),
        'serve',
        'bentoml_server:Model',
        '--host',
        '127.0.0.1',
        '--port',
        String(port),
      ];
      const started = start(command, { ...place, directory: join(bench, 'peers') });
      await untilReady(`${base}/readyz`, started, 120);
      return { ...started, url: `${base}/infer` };
    }
    case 'mlserver': {
      const settings = writeMlserverSettings(folder, port);
      const started = start([join(bin, 'mlserver'), 'start', settings], place);
      await untilReady(`${base}/v2/health/ready`, started, 120);
      return { ...started, url: `${base}/v2/models/model/infer` };
    }
    case 'ray': {
      // Ray listens on every address of the machine: it gets a network of its own with nothing but loopback.
      if (process.getuid?.() !== 0 || !has('unshare'))
        throw new Error('Ray Serve needs root and unshare: it is run where there is only loopback');
      const command = ['unshare', '-n', 'sh', '-c', `ip link set lo up && exec ${python} ${script} ${model} ${port}`];
      const started = start(command, place);
      await untilReady(`${base}/`, started, 180, started.pid);
      return { ...started, url: `${base}/`, network: started.pid };
    }
    default:
      return peer satisfies never;
  }
}

function writeMlserverSettings(folder: string, port: number): string {
  const place = join(folder, `mlserver-${port}`);
  mkdirSync(place, { recursive: true });
  const settings = {
    host: '127.0.0.1',
    http_port: port,
    grpc_port: port + 1,
    metrics_port: port + 2,
    parallel_workers: 0,
    debug: false,
  };
  writeFileSync(join(place, 'settings.json'), JSON.stringify(settings));
  writeFileSync(
    join(place, 'model-settings.json'),
    JSON.stringify({ name: 'model', implementation: 'mlserver_runtime.OnnxModel', parameters: { version: '1' } }),
  );
  return place;
}
