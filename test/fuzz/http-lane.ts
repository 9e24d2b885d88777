import { connect, type Socket } from 'node:net';

/** Every request is answered, or its connection closed, within this. */
export const BOUND_MS = 20_000;

/** A connection of HTTP/1.1 that reads answers by their framing alone. */
export class HttpLane {
  private socket: Socket | undefined;
  private received = Buffer.alloc(0);
  private waiting: { method: string; settle: (answer: HttpAnswer) => void; timer: NodeJS.Timeout } | undefined;

  constructor(private readonly port: number) {}

  /** Sends one request and waits for its answer. */
  ask(method: string, bytes: Buffer): Promise<HttpAnswer> {
    return new Promise((resolve) => {
      const settle = (answer: HttpAnswer): void => {
        clearTimeout(this.waiting?.timer);
        this.waiting = undefined;
        if (answer.status <= 0 || answer.closes) this.close();
        resolve(answer);
      };
      const timer = setTimeout(() => settle({ status: HUNG, text: '', closes: true }), BOUND_MS);
      this.waiting = { method, settle, timer };
      this.open().write(bytes);
    });
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
    this.received = Buffer.alloc(0);
  }

  private open(): Socket {
    if (this.socket !== undefined) return this.socket;
    const socket = connect(this.port, '127.0.0.1');
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      if (this.socket !== socket) return;
      this.received = this.received.byteLength === 0 ? chunk : Buffer.concat([this.received, chunk]);
      this.read();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      this.received = Buffer.alloc(0);
      this.waiting?.settle({ status: CLOSED, text: '', closes: true });
    });
    return socket;
  }

  private read(): void {
    const { waiting } = this;
    if (waiting === undefined) return;
    const answer = readAnswer(this.received, waiting.method);
    if (answer === undefined) return;
    this.received = this.received.subarray(answer.length);
    if (answer.status < 200) this.read();
    else waiting.settle(answer);
  }
}

export interface HttpAnswer {
  /** 0: the connection was closed instead; -1: neither came in time. */
  readonly status: number;
  readonly text: string;
  readonly closes: boolean;
}

export const CLOSED = 0;
export const HUNG = -1;

interface ReadAnswer extends HttpAnswer {
  /** Bytes. */
  readonly length: number;
}

/** The first answer in some bytes; undefined while it is not whole. @throws Error for what is no HTTP answer */
export function readAnswer(bytes: Buffer, method: string): ReadAnswer | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? NaN);
  if (Number.isNaN(status)) throw new Error(`no HTTP answer: ${JSON.stringify(head.slice(0, 200))}`);
  const closes = /^connection: close/im.test(head);
  const from = end + 4;
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304)
    return { status, text: '', closes, length: from };
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? NaN);
  if (!Number.isNaN(length)) {
    if (bytes.byteLength < from + length) return undefined;
    const isText = !/^content-encoding:/im.test(head);
    return {
      status,
      text: isText ? bytes.toString('utf8', from, from + length) : 'compressed',
      closes,
      length: from + length,
    };
  }
  // To a client of HTTP/1.0: it ends with the connection.
  if (!/^transfer-encoding: chunked/im.test(head)) {
    return { status, text: bytes.toString('utf8', from), closes: true, length: bytes.byteLength };
  }
  let at = from;
  let text = '';
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = parseInt(bytes.toString('latin1', at, line), 16);
    const next = line + 2 + size + 2;
    if (bytes.byteLength < next) return undefined;
    if (size === 0) return { status, text, closes, length: next };
    text += bytes.toString('utf8', line + 2, line + 2 + size);
    at = next;
  }
}

/** Sends bytes over a connection of their own, says that there are no more, and waits for the server to close. */
export function sendAlone(
  port: number,
  bytes: Buffer,
  boundMs = BOUND_MS,
): Promise<{ readonly received: Buffer; readonly hung: boolean }> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => finish(true), boundMs);
    const finish = (hung: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ received: Buffer.concat(chunks), hung });
    };
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => finish(false));
    socket.on('end', () => finish(false));
    socket.on('close', () => finish(false));
    socket.end(bytes);
  });
}
