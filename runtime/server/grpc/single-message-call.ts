import { ServerError } from '../errors';
import type { GrpcCall } from './grpc-call';
import type { Answer, Watch } from './grpc-method';
import { MessageReader, type Message, type MessageReaderOptions } from './message-reader';

export interface MessageOptions extends Omit<MessageReaderOptions, 'onMessage'> {
  /** Unpacks a compressed message. */
  readonly decompress: (message: Message) => Promise<Buffer>;
}

/** Answers the one message of a call with one. */
export function serveUnary(call: GrpcCall, answer: Answer, options: MessageOptions): void {
  receiveOne(call, options, async (bytes) => {
    call.send(await answer(bytes, call));
    call.succeed();
  });
}

/** Answers the one message of a call with many; the call stays open. */
export function serveWatch(call: GrpcCall, answer: Watch, options: MessageOptions): void {
  receiveOne(call, options, (bytes) => answer(bytes, call, (frame) => call.send(frame)));
}

function receiveOne(call: GrpcCall, options: MessageOptions, take: (bytes: Buffer) => void | Promise<void>): void {
  const { stream } = call;
  let received: Message | undefined;
  const reader = new MessageReader({
    ...options,
    onMessage: (message) => {
      if (received !== undefined) {
        message.lease.release();
        throw new ServerError('MALFORMED_REQUEST', 'this method takes one message, got more');
      }
      received = message;
    },
  });
  const finish = async (): Promise<void> => {
    if (call.isOver) return;
    try {
      reader.end();
      if (received === undefined) throw new ServerError('MALFORMED_REQUEST', 'this method takes one message, got none');
      await take(received.isCompressed ? await options.decompress(received) : received.bytes);
    } catch (error) {
      call.fail(error);
    }
  };
  stream.on('data', (chunk: Buffer) => {
    if (call.isOver) return;
    try {
      reader.push(chunk);
    } catch (error) {
      call.fail(error);
    }
  });
  stream.once('end', () => void finish());
  stream.once('close', () => {
    reader.close();
    received?.lease.release();
  });
}
