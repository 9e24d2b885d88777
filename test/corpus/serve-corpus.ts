import { readFileSync } from 'node:fs';
import { connectInference } from '../server/grpc/grpc-client';
import { startBundledServer, type BundledServer } from '../server/harness/bundled-server';
import { runBare, type BareResult } from './bare-runtime';
import type { CorpusCase } from './corpus-cases';
import { sendBinary, sendGrpc, sendJson } from './send-case';
import { difference } from './wire-tensor';

/** Models of one server: each has a thread of its own. */
const GROUP = 40;
/**
 * With an axis of 0, as a generated warm-up input has it, onnxruntime 1.30 never returns from this inverse transform of
 * nothing; a model like it needs a golden input. The server says so when its startup budget is spent.
 */
const ENDLESS: readonly string[] = ['test_dft_irfft'];
/** INVALID_ARGUMENT of gRPC and its like of HTTP: the inputs are at fault, the server is not. */
const REFUSALS = { json: 400, binary: 400, grpc: 3 };

export interface CorpusReport {
  /** Cases whose every answer, in all three forms, is what bare onnxruntime gives, to the bit. */
  readonly equal: string[];
  /** Cases whose model neither bare onnxruntime nor the server opens, and the server says why. */
  readonly refused: string[];
  /** Cases that bare onnxruntime opens and does not run, and that the server refuses as the client's. */
  readonly failed: string[];
  /** Runs of bare onnxruntime differ: there is nothing to compare with, but the server answered. */
  readonly random: string[];
  /** Everything else. */
  readonly different: string[];
}

/** Serves every case through JSON, binary and gRPC, and holds what comes back against bare onnxruntime. */
export async function serveCorpus(cases: readonly CorpusCase[]): Promise<CorpusReport> {
  const report: CorpusReport = { equal: [], refused: [], failed: [], random: [], different: [] };
  const served = cases.filter(({ name }) => !ENDLESS.includes(name));
  for (let i = 0; i < served.length; i += GROUP) await serveGroup(served.slice(i, i + GROUP), report);
  return report;
}

async function serveGroup(cases: readonly CorpusCase[], report: CorpusReport): Promise<void> {
  const models = cases.map(({ name, modelPath }) => ({ name, bytes: readFileSync(modelPath) }));
  // A model that never gets ready is named by the server when its startup budget is spent.
  const server = await startBundledServer(models, { SLIPWAY_STARTUP_BUDGET_SECONDS: '60' });
  try {
    const refusals = await readRefusals(server);
    const forms = {
      json: sendJson(server.url),
      binary: sendBinary(server.url),
      grpc: sendGrpc(connectInference(Number(new URL(server.grpcUrl).port))),
    };
    for (const corpusCase of cases) {
      const { name } = corpusCase;
      const bare = await runBare(corpusCase.modelPath, corpusCase.inputs);
      const reason = refusals.get(name);
      const problems: string[] = [];
      if (bare.kind === 'refused' || reason !== undefined) {
        if (bare.kind !== 'refused') problems.push(`is not served: ${reason}`);
        else if (reason === undefined) problems.push(`is served, and bare onnxruntime refuses it: ${bare.reason}`);
        else if (reason === '') problems.push('is not served, and nothing says why');
      } else {
        for (const form of ['json', 'binary', 'grpc'] as const) {
          const answer = await forms[form](name, corpusCase.inputs).catch((error: Error) => ({
            status: 0,
            reason: error.message,
          }));
          const problem = judge(bare, answer, REFUSALS[form]);
          if (problem !== undefined) problems.push(`${form}: ${problem}`);
        }
      }
      if (problems.length > 0) report.different.push(`${name}: ${problems.join('; ')}`);
      else if (bare.kind === 'outputs') (bare.isRepeatable ? report.equal : report.random).push(name);
      else report[bare.kind].push(name);
    }
  } finally {
    await server.stop();
  }
}

function judge(
  bare: Exclude<BareResult, { kind: 'refused' }>,
  answer: Awaited<ReturnType<ReturnType<typeof sendJson>>>,
  refusal: number,
): string | undefined {
  if (bare.kind === 'failed') {
    if ('outputs' in answer) return `is answered, and bare onnxruntime fails: ${bare.reason}`;
    return answer.status === refusal ? undefined : `${answer.status} ${answer.reason}, expected ${refusal}`;
  }
  if (!('outputs' in answer)) return `${answer.status} ${answer.reason}`;
  if (!bare.isRepeatable) return undefined;
  if (answer.outputs.length !== bare.outputs.length) return `${answer.outputs.length} outputs`;
  const differences = bare.outputs.map((output, i) => difference(output, answer.outputs[i]!));
  return differences.find((found) => found !== undefined);
}

/** Why models are not ready, by name. */
async function readRefusals({ url }: BundledServer): Promise<ReadonlyMap<string, string>> {
  const response = await fetch(`${url}/v2/repository/index`, { method: 'POST', signal: AbortSignal.timeout(30_000) });
  const index = (await response.json()) as { name: string; state: string; reason?: string }[];
  return new Map(index.filter(({ state }) => state !== 'READY').map(({ name, reason }) => [name, reason ?? '']));
}
