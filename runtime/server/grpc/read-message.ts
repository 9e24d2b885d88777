import { fromBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { ServerError } from '../errors';

/** A message by generated code. @throws ServerError MALFORMED_REQUEST */
export function readMessage<S extends DescMessage>(schema: S, bytes: Buffer): MessageShape<S> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new ServerError('MALFORMED_REQUEST', `the message is no ${schema.typeName}: ${(error as Error).message}`);
  }
}
