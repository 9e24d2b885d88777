import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import type { CaseResult } from '../conformance/run-conformance';
import { CliError, UsageError } from './cli-error';
import type { Command } from './command';
import { EXIT_STATUS } from './exit-status';

const ANSWER_MS = 10_000;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

/** `slipway conformance`: what a server says on the wire, held against the protocols it speaks. */
export const conformance: Command = {
  arguments: [
    {
      name: 'url',
      description: "a server that serves the suite's models, as in http://127.0.0.1:8080",
      optional: true,
    },
  ],
  options: {
    grpc: {
      type: 'string',
      value: 'url',
      description: 'its gRPC address, as in http://127.0.0.1:8081; without it gRPC is left out',
    },
    only: { type: 'string', value: 'text', description: 'run only cases whose id or area holds this text' },
    header: {
      type: 'string',
      value: 'name: value',
      multiple: true,
      description: 'send this with every request, for keys and tokens',
    },
    json: { type: 'boolean', description: 'print the results as JSON' },
    'write-models': {
      type: 'string',
      value: 'directory',
      description: "write the suite's models there as a model repository, and ask nobody",
    },
  },
  details:
    "The server must serve the suite's models, each as version 1: write them with --write-models, and serve that directory. " +
    'Every case says whose rule it is: the specification, Triton behaviour that clients count on, or a promise of ours. ' +
    'Exit status 1 when a case of the specification fails.',
  run: async (given, terminal) => {
    const directory = given.text('write-models');
    if (directory !== undefined) return terminal.out(await writeModels(directory));
    const { HttpClient } = await import('../conformance/http-client.js');
    const { GrpcClient } = await import('../conformance/grpc-client.js');
    const { CONFORMANCE_CASES, runConformance } = await import('../conformance/run-conformance.js');
    const headers = Object.fromEntries(given.texts('header').map(parseHeader));
    const grpcUrl = given.text('grpc');
    const grpc = grpcUrl === undefined ? undefined : new GrpcClient(parseUrl(grpcUrl), headers);
    const only = given.text('only') ?? '';
    const cases = CONFORMANCE_CASES.filter(
      ({ id, area }) => (area !== 'grpc' || grpc !== undefined) && (id.includes(only) || area.includes(only)),
    );
    if (cases.length === 0) throw new CliError(`no case has '${only}' in its id or area`);
    const url = given.argument('url');
    if (url === '') throw new UsageError('slipway conformance: <url> is missing: a server to ask, or --write-models');
    const isJson = given.flag('json');
    await assertAnswers(parseUrl(url));
    const subject = { http: new HttpClient(parseUrl(url), headers), grpc };
    const results = await runConformance(subject, cases, (result) => {
      if (!isJson) terminal.out(describe(result));
    });
    grpc?.close();
    terminal.out(isJson ? JSON.stringify(results.map(toJson), undefined, 2) : summarize(results, grpc === undefined));
    const broken = results.filter((result) => result.failure !== undefined && result.case.kind === 'spec');
    if (broken.length > 0) throw new CliError(`${broken.length} cases of the specification failed`);
  },
};

async function writeModels(directory: string): Promise<string> {
  const { conformanceModels } = await import('../conformance/conformance-models.js');
  const models = conformanceModels();
  for (const { name, bytes } of models) {
    const folder = path.join(directory, name, '1');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'model.onnx'), bytes);
  }
  return `${models.length} models in ${directory}; serve them, as in: slipway serve --model-repository ${directory}`;
}

function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text;
  throw new UsageError(`slipway conformance: a server is an http:// or https:// URL, got '${text}'`);
}

// Else every case would fail, for a reason that is none of the server's. Not by fetch, which knows ports that it asks nobody on.
async function assertAnswers(url: string): Promise<void> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({ host, port: port === '' ? DEFAULT_PORTS[protocol]! : Number(port) });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(ANSWER_MS) });
  } catch (error) {
    const { name, message } = error as Error;
    const reason = name === 'AbortError' ? `not within ${ANSWER_MS / 1_000} s` : message;
    throw new CliError(`${url}: nobody answers: ${reason}`, EXIT_STATUS.outside);
  } finally {
    socket.destroy();
  }
}

function parseHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(':');
  if (colon > 0) return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
  throw new UsageError(`slipway conformance: --header must be 'name: value', got '${text}'`);
}

function describe({ case: { id, kind, title, source }, failure }: CaseResult): string {
  if (failure === undefined) return `  ok    ${id} (${kind}): ${title}`;
  return `  FAIL  ${id} (${kind}): ${title}\n          ${failure}\n          ${source}`;
}

function summarize(results: readonly CaseResult[], isGrpcLeftOut: boolean): string {
  const kinds = [...new Set(results.map((result) => result.case.kind))];
  const lines = kinds.map((kind) => {
    const ofKind = results.filter((result) => result.case.kind === kind);
    const passed = ofKind.filter(({ failure }) => failure === undefined).length;
    return `${kind}: ${passed} of ${ofKind.length} passed`;
  });
  return [...lines, ...(isGrpcLeftOut ? ['gRPC was left out: name its address with --grpc'] : [])].join('\n');
}

function toJson({ case: { id, area, kind, source, title }, failure }: CaseResult): unknown {
  return {
    id,
    area,
    kind,
    source,
    title,
    passed: failure === undefined,
    ...(failure === undefined ? {} : { failure }),
  };
}
