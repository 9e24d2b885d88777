import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startBundledServer } from '../server/harness/bundled-server';
import { slowModel } from '../support/onnx-models';
import { head } from './http-cases';

test('requests that were pipelined by a client that leaves are not waited for when the server leaves', async () => {
  const server = await startBundledServer([{ name: 'slow', bytes: slowModel() }]);
  const body = '{"inputs":[{"name":"iterations","shape":[1,1],"datatype":"INT64","data":[2000]}]}';
  const request = `${head(['POST /v2/models/slow/infer HTTP/1.1', 'Host: fuzz', `Content-Length: ${body.length}`]).toString()}${body}`;
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(request.repeat(8));
  await wait(100);
  socket.destroy();
  expect(await server.stop()).toBe(0);
  expect(server.errors).toEqual([]);
});
