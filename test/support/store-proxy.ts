import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type StoreKind = 's3' | 'oss' | 'cos' | 'gs' | 'az';

export interface StoreProxy {
  readonly endpoint: string;
  readonly port: number;
  /** Bytes of bodies that were sent to it since the last time it was asked. */
  readonly takeSentBytes: () => number;
  /** Ends every connection before its answer, as a network does that is lost; until it is called with false. */
  readonly loseNetwork: (isLost: boolean) => void;
  /** Says 403 instead of 404, as stores do to those who may read objects and not list them. */
  readonly hideMissing: () => void;
  readonly stop: () => Promise<void>;
}

/** The header by which OSS and COS refuse to overwrite, which the S3 emulator does not know. */
const FORBID_OVERWRITE: Readonly<Partial<Record<StoreKind, string>>> = {
  oss: 'x-oss-forbid-overwrite',
  cos: 'x-cos-forbid-overwrite',
};

/**
 * Stands before an emulator, counts what is sent, and says what the store itself would say where the emulator does not: OSS and
 * COS refuse to overwrite by a header of theirs and with their own error, and take no `If-None-Match`; Google tells how much of a
 * resumable upload has arrived.
 */
export async function startStoreProxy(kind: StoreKind, target: { readonly port: number }): Promise<StoreProxy> {
  const arrived = new Map<string, string>();
  let sentBytes = 0;
  let isLost = false;
  let hidesMissing = false;

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    sentBytes += body.byteLength;
    if (isLost) return void incoming.socket.destroy();
    const uploadId = new URL(incoming.url!, 'http://localhost').searchParams.get('upload_id') ?? '';
    const headers: OutgoingHttpHeaders = { ...incoming.headers, 'content-length': body.byteLength };
    // The body is here, in one piece.
    delete headers['expect'];
    delete headers['transfer-encoding'];
    if (kind === 'gs' && /^bytes \*\/[1-9]/.test(incoming.headers['content-range'] ?? '')) {
      const range = arrived.get(uploadId);
      outgoing.writeHead(arrived.has(uploadId) ? 308 : 404, range === undefined ? {} : { Range: range });
      return void outgoing.end();
    }
    const forbid = FORBID_OVERWRITE[kind];
    if (forbid !== undefined) {
      if (headers['if-none-match'] !== undefined || headers['if-match'] !== undefined) {
        return void outgoing.writeHead(501).end('<Error><Code>NotImplemented</Code></Error>');
      }
      if (headers[forbid] === 'true') headers['if-none-match'] = '*';
    }
    const onward = request({ port: target.port, method: incoming.method, path: incoming.url, headers });
    onward.end(body);
    const [response] = (await once(onward, 'response')) as [IncomingMessage];
    const { statusCode = 0 } = response;
    if (forbid !== undefined && statusCode === 412) {
      response.resume();
      const text = '<?xml version="1.0"?><Error><Code>FileAlreadyExists</Code><Message>exists</Message></Error>';
      return void outgoing.writeHead(409, { 'Content-Type': 'application/xml' }).end(text);
    }
    if (hidesMissing && statusCode === 404) {
      response.resume();
      return void outgoing.writeHead(403, { 'Content-Type': 'application/json' }).end();
    }
    if (kind === 'gs' && uploadId !== '' && statusCode === 308) arrived.set(uploadId, response.headers['range'] ?? '');
    outgoing.writeHead(statusCode, response.headers);
    response.pipe(outgoing);
  }

  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    takeSentBytes: () => {
      const bytes = sentBytes;
      sentBytes = 0;
      return bytes;
    },
    loseNetwork: (lost) => void (isLost = lost),
    hideMissing: () => void (hidesMissing = true),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
