import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: number;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Spans that it links to. */
  readonly links: readonly string[];
  readonly statusCode: number;
}

export interface TraceCollector {
  readonly endpoint: string;
  readonly spans: ReceivedSpan[];
  /** Of every resource that sent something. */
  readonly resources: Readonly<Record<string, unknown>>[];
  readonly contentTypes: string[];
}

/** Takes traces by OTLP/HTTP and reads their protobuf with nothing but the field numbers of the public schema. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const collector = {
    spans: [] as ReceivedSpan[],
    resources: [] as Record<string, unknown>[],
    contentTypes: [] as string[],
  };
  const server = createServer((request, response) => {
    collector.contentTypes.push(request.headers['content-type'] ?? '');
    void buffer(request).then((body) => {
      for (const group of fields(body)[1] ?? []) {
        const { 1: resource = [], 2: scopes = [] } = fields(bytes(group));
        for (const one of resource) collector.resources.push(attributesOf(fields(bytes(one))[1]));
        for (const scope of scopes) {
          for (const span of fields(bytes(scope))[2] ?? []) collector.spans.push(spanOf(fields(bytes(span))));
        }
      }
      response.writeHead(200, { 'Content-Type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return Object.assign(collector, {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
  });
}

type Value = Buffer | bigint;
type Fields = Readonly<Record<number, readonly Value[]>>;

// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
function spanOf(span: Fields): ReceivedSpan {
  const hex = (value: Value | undefined): string => (value === undefined ? '' : bytes(value).toString('hex'));
  return {
    traceId: hex(span[1]?.[0]),
    spanId: hex(span[2]?.[0]),
    traceState: text(span[3]?.[0]),
    parentId: hex(span[4]?.[0]),
    name: text(span[5]?.[0]),
    kind: Number(span[6]?.[0] ?? 0),
    startNanos: span[7]?.[0] as bigint,
    endNanos: span[8]?.[0] as bigint,
    attributes: attributesOf(span[9]),
    links: (span[13] ?? []).map((link) => hex(fields(bytes(link))[2]?.[0])),
    statusCode: Number(fields(bytes(span[15]?.[0] ?? Buffer.alloc(0)))[3]?.[0] ?? 0),
  };
}

function attributesOf(list: readonly Value[] = []): Record<string, unknown> {
  const pairs = list.map((pair) => {
    const { 1: key, 2: value } = fields(bytes(pair));
    const { 1: string, 3: integer } = fields(bytes(value![0]!));
    return [text(key?.[0]), string === undefined ? Number(integer?.[0] ?? 0) : text(string[0])] as const;
  });
  return Object.fromEntries(pairs);
}

/** Every field of a message, by number. */
function fields(message: Buffer): Fields {
  const found: Record<number, Value[]> = {};
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    let value: Value;
    if ((tag & 7) === 0) value = varint();
    else if ((tag & 7) === 1) value = message.readBigUInt64LE((at += 8) - 8);
    else if ((tag & 7) === 5) value = BigInt(message.readUInt32LE((at += 4) - 4));
    else {
      const length = Number(varint());
      value = message.subarray(at, (at += length));
    }
    (found[tag >> 3] ??= []).push(value);
  }
  return found;
}

function bytes(value: Value): Buffer {
  if (typeof value === 'bigint') throw new Error('a number where the schema has bytes');
  return value;
}

function text(value: Value | undefined): string {
  return value === undefined ? '' : bytes(value).toString();
}
