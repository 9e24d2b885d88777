// The rows of the benchmark. Each measures two things in turn, several times, and gives the median of their ratios.
import { addedLatency, binaryToFloor, grpcToBinary, jsonParse, longestStall, overload } from './cost.mjs';
import { ONE_MS, RESNET, type Context, type Figure } from './measuring.mjs';
import { binaryRequest, jsonRequest } from './requests.mjs';
import { mappedCreate, mappedReady } from './start-up.mjs';
import { batchingToPeer, leastShare, servedToBare, shareOfBare, toNothing, toPeer } from './throughput.mjs';

export interface Row {
  readonly name: string;
  readonly goal: string;
  readonly measure: (context: Context) => Promise<Figure>;
}

export const ROWS: readonly Row[] = [
  {
    name: 'ResNet-50, binary, executor on a core of its own: served ÷ bare rows/s',
    goal: '≥ 0.97',
    measure: (c) => servedToBare(c, RESNET, 4),
  },
  { name: '1 ms model, the same', goal: '≥ 0.97', measure: (c) => servedToBare(c, ONE_MS, 4) },
  {
    name: 'tiny model, one core: binary requests/s ÷ FastAPI',
    goal: '≥ 8',
    measure: (c) => toPeer(c, 'fastapi', binaryRequest, 8),
  },
  {
    name: 'tiny model, one core: JSON requests/s ÷ FastAPI',
    goal: '≥ 5',
    measure: (c) => toPeer(c, 'fastapi', jsonRequest, 5),
  },
  {
    name: 'the same, binary ÷ FastAPI on uvicorn[standard]',
    goal: 'for comparison',
    measure: (c) => toPeer(c, 'fastapi-standard', binaryRequest),
  },
  {
    name: 'the same, JSON ÷ FastAPI on uvicorn[standard]',
    goal: 'for comparison',
    measure: (c) => toPeer(c, 'fastapi-standard', jsonRequest),
  },
  { name: 'the same, JSON ÷ BentoML', goal: '≥ 25', measure: (c) => toPeer(c, 'bentoml', jsonRequest, 25) },
  { name: 'the same, JSON ÷ LitServe', goal: '≥ 30', measure: (c) => toPeer(c, 'litserve', jsonRequest, 30) },
  { name: 'the same, JSON ÷ MLServer', goal: '≥ 15', measure: (c) => toPeer(c, 'mlserver', jsonRequest, 15) },
  { name: 'the same, JSON ÷ Ray Serve', goal: '≥ 100', measure: (c) => toPeer(c, 'ray', jsonRequest, 100) },
  {
    name: 'the same, JSON ÷ node:http that reads the body and drops it',
    goal: 'for comparison',
    measure: toNothing,
  },
  {
    name: 'MLP at concurrency 16, one core, batching off: share of bare one-row runs',
    goal: '≥ 0.93',
    measure: (c) => shareOfBare(c, false),
  },
  {
    name: 'the same of the least server there can be: node:http and a worker thread, no checks',
    goal: 'for comparison',
    measure: leastShare,
  },
  {
    name: 'the same with batching: share of bare at the mean batch size',
    goal: '≥ 0.6',
    measure: (c) => shareOfBare(c, true),
  },
  { name: 'the same with batching ÷ the best peer (FastAPI)', goal: '≥ 3', measure: batchingToPeer },
  { name: 'added p50 at concurrency 1 over bare', goal: '≤ 0.4 ms', measure: addedLatency },
  {
    name: '602 KB binary tensor: CPU per request ÷ reading the body and dropping it',
    goal: '≤ 1.2',
    measure: binaryToFloor,
  },
  { name: '602 KB tensor: CPU per request over gRPC ÷ REST binary', goal: '≤ 3', measure: grpcToBinary },
  { name: '150,528 floats as JSON: parse ÷ JSON.parse', goal: '≤ 0.35', measure: jsonParse },
  { name: 'longest event-loop stall at saturation', goal: '≤ 15 ms', measure: longestStall },
  {
    name: '3× overload for 60 s: p99 of accepted requests within the queue bound, the rest 429, RSS flat',
    goal: 'yes',
    measure: overload,
  },
  { name: '268 MB of weights: create of the mapped form ÷ plain create', goal: '≤ 0.1', measure: mappedCreate },
  { name: '268 MB of weights: to ready with warm-up, mapped ÷ plain', goal: '≤ 0.35', measure: mappedReady },
];
