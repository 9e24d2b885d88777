import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type { BundledServer } from '../server/harness/bundled-server';
import { httpCase } from './http-cases';
import { BOUND_MS, CLOSED, type HttpAnswer, HttpLane, HUNG, readAnswer, sendAlone } from './http-lane';
import { grpcCase, wildHttp2Case } from './message-cases';
import { Random } from './random';
import { wildHttpCase } from './wild-cases';

export interface FuzzReport {
  /** How often each answer came, as `http 400`, `grpc 3`, `wild http 431` … */
  readonly counts: Readonly<Record<string, number>>;
  readonly requests: number;
  readonly seconds: number;
  /** Resident memory of the server, in MiB, once a tenth was sent and at the end. */
  readonly residentMiB: readonly [early: number, end: number];
}

/** 5xx that say something true: what a protocol has and this server has not, not ready, too late, another HTTP. */
const TRUE_5XX = [501, 503, 504, 505];
/** UNKNOWN, INTERNAL, DATA_LOSS: the server does not know what happened. */
const DEFECTS_OF_GRPC = [2, 13, 15];
const LANES = { http: 12, wild: 4, grpc: 8, wildHttp2: 64 };
/** Every so many cases, one of each kind that needs a connection of its own or of gRPC; the others are HTTP. */
const WILD_EVERY = 25;
const GRPC_EVERY = 6;
const WILD_HTTP2_EVERY = 60;
/** A connection whose frames are broken may stay open until a ping is missed: the client goes first. */
const WILD_HTTP2_MS = 500;
/** Failures after which no more is sent. */
const MAX_FAILURES = 8;

/**
 * Sends so many requests, most of them wrong, over both ports and raw sockets.
 * @throws Error with the seed, the number and the bytes of each case that the server did not stand.
 */
export async function fuzzServer(server: BundledServer, seed: number, requests: number): Promise<FuzzReport> {
  const start = Date.now();
  const counts: Record<string, number> = {};
  const count = (what: string): void => void (counts[what] = (counts[what] ?? 0) + 1);
  let sent = 0;
  let early: number | undefined;
  const failures: Error[] = [];
  const [httpPort, grpcPort] = [Number(new URL(server.url).port), Number(new URL(server.grpcUrl).port)];

  /** Cases of one kind, each lane taking the next number. */
  const work = async (
    kind: string,
    total: number,
    lane: (index: number, random: Random) => Promise<void>,
  ): Promise<void> => {
    const lanes = Array.from(
      { length: LANES[kind as keyof typeof LANES] },
      async (_, first, step = LANES[kind as keyof typeof LANES]) => {
        for (let index = first; index < total && failures.length < MAX_FAILURES; index += step) {
          await lane(index, new Random(seed, index)).catch((error: Error) => {
            failures.push(new Error(`seed ${seed}, case ${kind} ${index}: ${error.message}`, { cause: error }));
          });
          sent += 1;
          if (early === undefined && sent >= requests / 10) early = residentMiB(server.pid);
        }
      },
    );
    await Promise.all(lanes);
  };

  const wild = Math.floor(requests / WILD_EVERY);
  const grpc = Math.floor(requests / GRPC_EVERY);
  const wildHttp2 = Math.floor(requests / WILD_HTTP2_EVERY);
  const httpLanes = Array.from({ length: LANES.http }, () => new HttpLane(httpPort));
  const sessions = new GrpcSessions(grpcPort);
  try {
    await Promise.all([
      work('http', requests - wild - grpc - wildHttp2, async (index, random) => {
        const { method, bytes } = httpCase(random);
        const { status, text } = await askTwice(httpLanes[index % LANES.http]!, method, bytes);
        count(`http ${status}`);
        if (status === HUNG || status === CLOSED) throw broken('is not answered', bytes);
        assertTrue(status, text, bytes);
      }),
      work('wild', wild, async (_, random) => {
        const { bytes, isAmbiguous } = wildHttpCase(random);
        const { received, hung } = await sendAlone(httpPort, bytes);
        if (hung) throw broken('is neither answered nor closed', bytes);
        let answers = 0;
        for (let rest = received; rest.byteLength > 0; answers++) {
          const answer = readAnswer(rest, 'GET') ?? readAnswer(rest, 'HEAD');
          if (answer === undefined) break;
          count(`wild http ${answer.status}`);
          assertTrue(answer.status, answer.text, bytes);
          rest = rest.subarray(answer.length);
          // What follows an answer to HEAD cannot be told from its body.
          if (bytes.includes('HEAD ')) break;
        }
        if (answers === 0) count('wild http closed');
        if (isAmbiguous && answers > 1) throw broken('is answered twice', bytes);
      }),
      work('grpc', grpc, async (_, random) => {
        const { path, headers, body } = grpcCase(random);
        const { status, message, httpStatus } = await sessions.ask(path, headers, body);
        count(status === undefined ? `grpc http ${httpStatus}` : `grpc ${status}`);
        if (httpStatus === HUNG) throw broken(`${path} hangs`, body);
        if (status === undefined ? httpStatus >= 500 : DEFECTS_OF_GRPC.includes(status)) {
          throw broken(`${path} ${JSON.stringify(headers)} gets ${status ?? httpStatus} ${message}`, body);
        }
      }),
      work('wildHttp2', wildHttp2, async (_, random) => {
        const bytes = wildHttp2Case(random);
        const { hung } = await sendAlone(grpcPort, bytes, WILD_HTTP2_MS);
        count(hung ? 'wild http2 left' : 'wild http2 closed');
      }),
    ]);
  } finally {
    for (const lane of httpLanes) lane.close();
    sessions.close();
  }
  if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('\n'), { cause: failures[0] });
  return {
    counts,
    requests: sent,
    seconds: (Date.now() - start) / 1_000,
    residentMiB: [early!, residentMiB(server.pid)],
  };
}

/** A connection may be closed for having been idle just when the next request is sent: as every client, try another. */
async function askTwice(lane: HttpLane, method: string, bytes: Buffer): Promise<HttpAnswer> {
  const answer = await lane.ask(method, bytes);
  return answer.status === CLOSED ? lane.ask(method, bytes) : answer;
}

function assertTrue(status: number, text: string, bytes: Buffer): void {
  if (status < 500) return;
  const hasReason = text === 'compressed' || text === '' || /"error":"[^"]/.test(text);
  if (!TRUE_5XX.includes(status) || !hasReason) throw broken(`gets ${status} ${text}`, bytes);
}

/** The bytes as text that can be put into a test. */
function broken(what: string, bytes: Buffer): Error {
  return new Error(`${what}: ${JSON.stringify(bytes.toString('latin1'))}`);
}

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}

interface GrpcAnswer {
  /** Undefined when there was none: the stream was reset, or HTTP refused it. */
  readonly status: number | undefined;
  readonly message: string;
  readonly httpStatus: number;
}

/** Connections of sound HTTP/2, opened anew when the server closes one. */
class GrpcSessions {
  private readonly sessions: (http2.ClientHttp2Session | undefined)[] = [undefined, undefined, undefined];
  private next = 0;

  constructor(private readonly port: number) {}

  ask(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<GrpcAnswer> {
    const stream = this.session().request({ ':method': 'POST', ':path': path, ...headers });
    return new Promise((resolve) => {
      let httpStatus = 0;
      let head: http2.IncomingHttpHeaders = {};
      const timer = setTimeout(() => resolve({ status: undefined, message: '', httpStatus: HUNG }), BOUND_MS);
      stream.on('response', (answer) => {
        httpStatus = Number(answer[':status']);
        head = answer;
      });
      stream.on('trailers', (trailers) => (head = { ...head, ...trailers }));
      stream.on('error', () => {});
      stream.on('close', () => {
        clearTimeout(timer);
        const status = head['grpc-status'];
        resolve({
          status: status === undefined ? undefined : Number(status),
          message: String(head['grpc-message'] ?? ''),
          httpStatus,
        });
      });
      stream.resume();
      stream.end(body);
    });
  }

  close(): void {
    for (const session of this.sessions) session?.destroy();
  }

  private session(): http2.ClientHttp2Session {
    const i = this.next++ % this.sessions.length;
    const open = this.sessions[i];
    if (open !== undefined && !open.closed && !open.destroyed) return open;
    const session = http2.connect(`http://127.0.0.1:${this.port}`);
    session.on('error', () => {});
    this.sessions[i] = session;
    return session;
  }
}
