import { ServerError } from '../errors';

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Milliseconds of a `grpc-timeout`; undefined when there is none.
 * @throws ServerError MALFORMED_REQUEST
 */
export function parseGrpcTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  if (match === null) {
    throw new ServerError(
      'MALFORMED_REQUEST',
      `grpc-timeout must be at most eight digits and a unit of H, M, S, m, u or n, got '${text.slice(0, 40)}'`,
    );
  }
  return Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** Longer messages are cut: a client takes 8 or 16 KiB of headers, and drops the call that brings more. */
const MAX_MESSAGE_LENGTH = 1_024;

/** A message as `grpc-message` carries it: UTF-8, everything but printable ASCII percent-encoded. */
export function encodeGrpcMessage(text: string): string {
  const bytes = Buffer.from(text.length > MAX_MESSAGE_LENGTH ? `${text.slice(0, MAX_MESSAGE_LENGTH)}…` : text);
  let encoded = '';
  for (const byte of bytes) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
