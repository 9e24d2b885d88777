import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ServerSettings } from '../../runtime/spec/environment';
import { wildHttp2Case } from '../fuzz/message-cases';
import { Random } from '../fuzz/random';
import { addOneModel, identityModel, slowModel } from '../support/onnx-models';
import { call, connectInference, packages } from './grpc/grpc-client';
import { connectRaw, frame, send } from './grpc/raw-client';
import { plainRepository } from './harness/model-repository';
import { request, startServer, type RunningServer } from './harness/running-server';
import { until, untilQueued, untilStarted } from './harness/until';

const INFER = '/inference.GRPCInferenceService/ModelInfer';
const LIVE = '/inference.GRPCInferenceService/ServerLive';
const STREAM = '/inference.GRPCInferenceService/ModelStreamInfer';

function start(models: Readonly<Record<string, Uint8Array>>, settings: Partial<ServerSettings> = {}) {
  return startServer({ modelRepository: plainRepository(models), ...settings });
}

function inferMessage(request: object): Buffer {
  return (packages['inference.GRPCInferenceService'] as any).ModelInfer.requestSerialize(request);
}

const PLUS = {
  model_name: 'plus',
  inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 4], contents: { fp32_contents: [1, 2, 3, 4] } }],
};

function slowMessage(iterations: number): Buffer {
  const contents = { int64_contents: [iterations] };
  return inferMessage({
    model_name: 'slow',
    inputs: [{ name: 'iterations', datatype: 'INT64', shape: [1, 1], contents }],
  });
}

async function isWell(server: RunningServer): Promise<void> {
  expect(await call(connectInference(server.grpcPort), 'ServerLive')).toEqual({ live: true });
}

describe('a call that has no method', () => {
  test.each(['/AWS.ALB/health', '/inference.GRPCInferenceService/Nothing', '/no.Service/ServerLive', '/', '//'])(
    '%s gets status 12 with headers alone, as clients expect',
    async (path) => {
      const { grpcPort } = await start({ plus: addOneModel() });
      const answer = await send(connectRaw(grpcPort), path, [frame(Buffer.alloc(0))]);
      expect(answer).toMatchObject({ endedWithHeaders: true, grpcStatus: 12, grpcMessage: `unknown method ${path}` });
      expect(answer.headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc' });
    },
  );

  test('gets its answer before its body has ended', async () => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const answer = await send(connectRaw(grpcPort), '/no.Service/ServerLive', [], { end: false });
    expect(answer).toMatchObject({ grpcStatus: 12, resetCode: 0 });
  });
});

describe('a request that is no gRPC', () => {
  test('gets an answer of HTTP', async () => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const session = connectRaw(grpcPort);
    const get = await send(session, LIVE, [], { headers: { ':method': 'GET' } });
    expect(get.headers).toMatchObject({ ':status': 405, allow: 'POST' });
    for (const type of ['application/json', 'application/grpc-web', 'application/grpc+json']) {
      const answer = await send(session, LIVE, [frame(Buffer.alloc(0))], { headers: { 'content-type': type } });
      expect(answer.headers[':status']).toBe(415);
    }
    for (const type of ['application/grpc+proto', 'application/grpc; charset=utf-8']) {
      const answer = await send(session, LIVE, [frame(Buffer.alloc(0))], { headers: { 'content-type': type } });
      expect(answer.grpcStatus).toBe(0);
    }
  });
});

describe('messages', () => {
  test('may come byte by byte', async () => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const bytes = frame(inferMessage(PLUS));
    const pieces = Array.from(bytes, (byte) => Buffer.of(byte));
    const answer = await send(connectRaw(grpcPort), INFER, pieces);
    expect(answer.grpcStatus).toBe(0);
    expect(answer.headers['grpc-status']).toBeUndefined();
    expect(answer.body.readUInt32BE(1)).toBe(answer.body.byteLength - 5);
  });

  test('of a stream may come many at once, and in pieces', async () => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const many = Buffer.concat(Array.from({ length: 500 }, () => frame(inferMessage(PLUS))));
    const cut = many.byteLength - 33;
    const answer = await send(connectRaw(grpcPort), STREAM, [many.subarray(0, cut), many.subarray(cut)]);
    expect(answer.grpcStatus).toBe(0);
    let messages = 0;
    for (let at = 0; at < answer.body.byteLength; at += 5 + answer.body.readUInt32BE(at + 1)) messages += 1;
    expect(messages).toBe(500);
  });

  test.each([
    ['none', [], 'takes one message, got none'],
    ['two', [frame(Buffer.alloc(0)), frame(Buffer.alloc(0))], 'takes one message, got more'],
    ['half of one', [frame(Buffer.alloc(4), { length: 8 })], 'ended after 4 bytes of a message of 8'],
    ['half of a header', [Buffer.alloc(3)], 'ended within the header'],
    ['one that begins with a 2', [frame(Buffer.alloc(0), { flag: 2 })], 'must begin with 0 or 1, got 2'],
    ['one that is compressed without a word', [frame(gzipSync('a'), { flag: 1 })], 'has no grpc-encoding'],
    ['one that is no protobuf', [frame(Buffer.of(0xff))], 'is no protobuf'],
  ])('%s is an invalid argument', async (_, body, reason) => {
    const server = await start({ plus: addOneModel() });
    const answer = await send(connectRaw(server.grpcPort), INFER, body);
    expect(answer).toMatchObject({ endedWithHeaders: true, grpcStatus: 3 });
    expect(answer.grpcMessage).toContain(reason);
    await isWell(server);
  });

  test('that are too long are refused by their length, before they come', async () => {
    const { grpcPort } = await start({ plus: addOneModel() }, { maxBodyMiB: 1 });
    const body = [frame(Buffer.alloc(10), { length: 2 ** 32 - 1 })];
    const answer = await send(connectRaw(grpcPort), INFER, body, { end: false });
    expect(answer).toMatchObject({
      grpcStatus: 8,
      grpcMessage: 'a message must be at most 1048576 bytes, got 4294967295',
      resetCode: 0,
    });
  });

  test('that together hold too much memory are refused', async () => {
    const { grpcPort } = await start({ plus: addOneModel() }, { maxBodyMiB: 1, bodyMemoryMiB: 1 });
    const session = connectRaw(grpcPort);
    const first = send(session, INFER, [frame(Buffer.alloc(10), { length: 600_000 })], { end: false });
    first.catch(() => {});
    const second = await send(session, INFER, [frame(Buffer.alloc(10), { length: 600_000 })], { end: false });
    expect(second.grpcStatus).toBe(8);
    expect(second.grpcMessage).toContain('hold 600000 of 1048576 bytes');
  });
});

describe('compression', () => {
  const gzip = { headers: { 'grpc-encoding': 'gzip' } };

  test('with gzip may be used for some messages and not for others', async () => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const message = inferMessage(PLUS);
    const session = connectRaw(grpcPort);
    const zipped = await send(session, INFER, [frame(gzipSync(message), { flag: 1 })], gzip);
    const plain = await send(session, INFER, [frame(message)], gzip);
    expect([zipped.grpcStatus, plain.grpcStatus]).toEqual([0, 0]);
    expect(zipped.body).toEqual(plain.body);
  });

  test('with anything else is refused, with what would work', async () => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const answer = await send(connectRaw(grpcPort), INFER, [], { headers: { 'grpc-encoding': 'zstd' } });
    expect(answer).toMatchObject({
      grpcStatus: 12,
      grpcMessage: "grpc-encoding must be identity, deflate or gzip, got 'zstd'",
    });
    expect(answer.headers['grpc-accept-encoding']).toBe('identity,deflate,gzip');
  });

  test('of a message beyond the limit is refused by the length that it announces', async () => {
    const { grpcPort } = await start({ plus: addOneModel() }, { maxBodyMiB: 1 });
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const answer = await send(connectRaw(grpcPort), INFER, [frame(bomb, { flag: 1 })], gzip);
    expect(answer).toMatchObject({
      grpcStatus: 8,
      grpcMessage: 'a message must be at most 1048576 bytes, got 50000000 compressed',
    });
  });

  test('that announces less than it holds is refused once that is unpacked', async () => {
    const { grpcPort } = await start({ plus: addOneModel() }, { maxBodyMiB: 1 });
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    bomb.writeUInt32LE(10, bomb.byteLength - 4);
    const answer = await send(connectRaw(grpcPort), INFER, [frame(bomb, { flag: 1 })], gzip);
    expect(answer.grpcStatus).toBe(3);
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['noise', randomBytes(100)],
    ['half', gzipSync('abcdefgh').subarray(0, 20)],
  ])('of %s is refused', async (_, bytes) => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const answer = await send(connectRaw(grpcPort), INFER, [frame(bytes, { flag: 1 })], gzip);
    expect([3, 8]).toContain(answer.grpcStatus);
  });
});

describe('a deadline', () => {
  test('that the client sends is kept by the server', async () => {
    const server = await start({ slow: slowModel() }, { maxBatchSize: 1 });
    const session = connectRaw(server.grpcPort);
    const running = send(session, INFER, [frame(slowMessage(8_000))]);
    await untilStarted(server.metricsUrl, 1);
    const headers = { 'grpc-timeout': '150m' };
    const answer = await send(session, INFER, [frame(slowMessage(0))], { headers });
    expect(answer).toMatchObject({ grpcStatus: 4, grpcMessage: 'no answer within 0.15 s' });
    await untilQueued(server.metricsUrl, 0);
    expect((await running).grpcStatus).toBe(0);
  });

  test('ends a body that never comes', async () => {
    const { grpcPort } = await start({ plus: addOneModel() }, { requestDeadlineSeconds: 0.2 });
    const answer = await send(connectRaw(grpcPort), INFER, [Buffer.alloc(2)], { end: false });
    expect(answer.grpcStatus).toBe(4);
  });

  test('ends a stream that stays open', async () => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const headers = { 'grpc-timeout': '200m' };
    const answer = await send(connectRaw(grpcPort), STREAM, [frame(inferMessage(PLUS))], { headers, end: false });
    expect(answer.grpcStatus).toBe(4);
    expect(answer.body.byteLength).toBeGreaterThan(5);
  });

  test.each(['1', 'S', '-1S', '1s', '123456789S', '1.5S', ''])('of %j is refused', async (timeout) => {
    const { grpcPort } = await start({ plus: addOneModel() });
    const answer = await send(connectRaw(grpcPort), LIVE, [], { headers: { 'grpc-timeout': timeout } });
    expect(answer.grpcStatus).toBe(3);
  });
});

test('counts what was refused before anybody knew the model', async () => {
  const server = await start({ plus: addOneModel() }, { maxBodyMiB: 1, requestDeadlineSeconds: 0.3 });
  const session = connectRaw(server.grpcPort);
  await send(session, INFER, [frame(Buffer.of(0xff))]);
  await send(session, INFER, [frame(Buffer.alloc(10), { length: 2 ** 30 })]);
  await send(session, INFER, [Buffer.alloc(2)], { end: false });
  await send(session, LIVE, [frame(Buffer.alloc(0)), frame(Buffer.alloc(0))]);
  const { text } = await request(`${server.metricsUrl}/metrics`);
  const count = (outcome: string): string | undefined =>
    new RegExp(`^slipway_requests_total\\{.*protocol="oip-grpc",outcome="${outcome}"\\} (\\d+)$`, 'm').exec(text)?.[1];
  expect([count('client_error'), count('deadline')]).toEqual(['2', '1']);
});

test('gives back the name that the client gave its call', async () => {
  const { grpcPort } = await start({ plus: addOneModel() });
  const session = connectRaw(grpcPort);
  const headers = { 'x-request-id': 'abc-1' };
  expect((await send(session, LIVE, [frame(Buffer.alloc(0))], { headers })).headers['x-request-id']).toBe('abc-1');
  expect((await send(session, '/no/Method', [], { headers })).headers['x-request-id']).toBe('abc-1');
});

describe('connections', () => {
  test('beyond the limit are closed', async () => {
    const { grpcPort } = await start({ plus: addOneModel() }, { maxConnections: 2 });
    const open = [connectRaw(grpcPort), connectRaw(grpcPort)];
    for (const session of open) expect((await send(session, LIVE, [frame(Buffer.alloc(0))])).grpcStatus).toBe(0);
    const third = net.connect(grpcPort, '127.0.0.1');
    onTestFinished(() => void third.destroy());
    third.on('error', () => {}).resume();
    await once(third, 'close');
  });

  test('without calls are closed after the keep-alive, and those with calls are not', async () => {
    const { grpcPort } = await start({ plus: addOneModel() }, { keepAliveSeconds: 0.3 });
    const idle = connectRaw(grpcPort);
    const busy = connectRaw(grpcPort);
    const stream = busy.request({ ':method': 'POST', ':path': STREAM, 'content-type': 'application/grpc' });
    stream.on('error', () => {});
    await send(idle, LIVE, [frame(Buffer.alloc(0))]);
    await until('the idle connection is closed', () => idle.closed || idle.destroyed);
    expect(busy.closed || busy.destroyed).toBe(false);
  });
});

describe('bytes that are no HTTP/2', () => {
  const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const SETTINGS = Buffer.from('000000040000000000', 'hex');

  async function throwAt(port: number, bytes: Buffer): Promise<net.Socket> {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    await once(socket, 'connect');
    socket.end(bytes);
    return socket;
  }

  test('end their connection and nothing else', async () => {
    // After some errors nghttp2 says goodbye and waits; the keep-alive ends that.
    const server = await start({ plus: addOneModel() }, { keepAliveSeconds: 0.3 });
    const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
    const opened = Buffer.concat([Buffer.from(PREFACE), SETTINGS]);
    const bad: readonly Buffer[] = [
      Buffer.from('GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n'),
      Buffer.from(PREFACE.slice(0, 10)),
      Buffer.concat([opened, hex('000001 04 00 00000000 ff')]), // SETTINGS of one byte
      Buffer.concat([opened, hex('000004 08 00 00000000 00000000')]), // WINDOW_UPDATE by 0
      Buffer.concat([opened, hex('000005 00 01 00000001 0000000000')]), // DATA on a stream that never opened
      Buffer.concat([opened, hex('000004 01 05 00000001 ffffffff')]), // HEADERS that are no HPACK
      Buffer.concat([opened, hex('ffffff 00 00 00000001')]), // a frame beyond the largest
      Buffer.concat([opened, hex('000004 03 00 00000001 00000000')]), // RST_STREAM of a stream that never opened
      Buffer.concat([opened, hex('000000 09 04 00000001')]), // CONTINUATION of nothing
    ];
    for (const bytes of bad) await once(await throwAt(server.grpcPort, bytes), 'close');
    await isWell(server);
  });

  test('of any kind leave the server well', async () => {
    const server = await start({ plus: addOneModel() });
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 300 }), async (isOpened, bytes) => {
        const start = isOpened ? [Buffer.from(PREFACE), SETTINGS] : [];
        const socket = await throwAt(server.grpcPort, Buffer.concat([...start, bytes]));
        await Promise.race([once(socket, 'close'), wait(20)]);
        socket.destroy();
      }),
      { numRuns: 300 },
    );
    await isWell(server);
  });

  describe('in the middle of a call', () => {
    // After each of them nghttp2 says goodbye, and then neither reads nor sends nor closes.
    const CASES = [83, 95, 196, 337, 1352].map((index) => wildHttp2Case(new Random(2, index)));

    async function breakIn(server: RunningServer): Promise<readonly Promise<unknown>[]> {
      const open = await Promise.all(CASES.map((bytes) => throwAt(server.grpcPort, bytes)));
      await until('every call has come', () => !server.server.isIdle);
      return open.map((socket) => once(socket, 'close'));
    }

    test('end their connection all the same', async () => {
      const server = await start({ plus: addOneModel() }, { requestDeadlineSeconds: 1 });
      await Promise.all(await breakIn(server));
      await until('the server owes no answer', () => server.server.isIdle);
      await isWell(server);
    });

    test('do not keep a server from leaving in peace', async () => {
      const server = await start({ plus: addOneModel() }, { requestDeadlineSeconds: 1 });
      const closed = await breakIn(server);
      expect(await server.server.drain()).toBe(true);
      await Promise.all(closed);
    });
  });
});

test('calls that are reset as soon as they begin leave nothing behind', async () => {
  const server = await start({ same: identityModel() });
  const session = connectRaw(server.grpcPort);
  for (let i = 0; i < 200; i++) {
    const stream = session.request({ ':method': 'POST', ':path': INFER, 'content-type': 'application/grpc' });
    stream.on('error', () => {});
    stream.write(frame(Buffer.alloc(10), { length: 1_000 }));
    stream.close(8);
  }
  await until('the server owes no answer', () => server.server.isIdle);
  await isWell(server);
});
