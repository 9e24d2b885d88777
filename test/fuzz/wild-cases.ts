import { head, httpCase } from './http-cases';
import type { Random } from './random';

export interface WildCase {
  readonly bytes: Buffer;
  /** Two servers in a row might disagree about where it ends: at most one answer, or the second is a smuggled request's. */
  readonly isAmbiguous: boolean;
}

const GOOD = 'GET /v2/health/live HTTP/1.1\r\nHost: fuzz\r\n\r\n';
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: fuzz\r\n\r\n';
const POST = ['POST /v2/models/two/infer HTTP/1.1', 'Host: fuzz'];

/** Bytes for a connection of their own, which nobody has to answer. */
export function wildHttpCase(random: Random): WildCase {
  if (random.chance(0.25)) return ambiguous(random);
  const bytes = random.pick<() => Buffer | string>([
    () => random.bytes(random.below(300)),
    () => random.mutate(httpCase(random).bytes),
    () => random.mutate(httpCase(random).bytes),
    () => random.mutate(Buffer.from(GOOD)),
    () => {
      const { bytes: whole } = httpCase(random);
      return whole.subarray(0, random.below(whole.byteLength));
    },
    () => Buffer.concat(Array.from({ length: 1 + random.below(12) }, () => httpCase(random).bytes)),
    () => GOOD.repeat(random.below(30)) + 'x',
    () =>
      head([
        GOOD.trim(),
        ...Array.from({ length: random.below(300) }, (_, i) => `X-${i}: ${'a'.repeat(random.below(60))}`),
      ]),
    () => head([GOOD.trim(), `X: ${'a'.repeat(random.below(40_000))}`]),
    () => `GET /${'a'.repeat(random.below(40_000))} HTTP/1.1\r\nHost: fuzz\r\n\r\n`,
    () => head([`GET / HTTP/${random.pick(['0.9', '1.0', '2.0', '1.2', '3', '1.1.1', ''])}`, 'Host: fuzz']),
    () =>
      `${random.pick(['get', 'CONNECT', 'TRACE', 'PRI', 'G\0T', '', ' GET'])} ${random.pick(['*', 'a:80', '/', ''])} HTTP/1.1\r\nHost: x\r\n\r\n`,
    () =>
      head([
        ...POST,
        `Content-Length: ${random.pick(['-1', '+3', '0x3', '3 3', '3,3', '99999999999999999999', '1e3', '', '2147483648'])}`,
      ]).toString('latin1') + '{}\n',
    () =>
      head([...POST, 'Transfer-Encoding: chunked']).toString('latin1') +
      random.pick([
        '-1\r\n',
        'fffffffffffffffff\r\n',
        '3;' + 'a'.repeat(20_000),
        '2\r\n{}',
        '0\r\n' + 'T: x\r\n'.repeat(200),
        '5\r\n{}\r\n0\r\n\r\n',
        'g\r\n',
      ]),
    () =>
      head([
        GOOD.trim(),
        random.pick([' folded', 'No-Colon', 'A : b', ': x', 'A: \0', 'A: \x01', 'Ä: b', 'Host: other']),
      ]),
    () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + random.bytes(40).toString('latin1'),
    () => Buffer.from('16030100f8010000f40303', 'hex'),
    () => GOOD.replaceAll('\r\n', '\n'),
  ])();
  return { bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, isAmbiguous: false };
}

function ambiguous(random: Random): WildCase {
  const lengths = random.pick([
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 5'],
    ['Content-Length: 5', 'Content-Length: 60'],
    ['Content-Length: 5, 60'],
    ['Transfer-Encoding: chunked, identity'],
    ['Transfer-Encoding: xchunked', 'Content-Length: 5'],
    ['Transfer-Encoding : chunked', 'Content-Length: 5'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity', 'Content-Length: 5'],
    ['Transfer-Encoding:\x0bchunked', 'Content-Length: 5'],
    ['X: a\nTransfer-Encoding: chunked', 'Content-Length: 5'],
    ['Content-Length: 5\rX: y'],
    ['Content-Length: \x005'],
  ]);
  const bytes = Buffer.concat([head([...POST, ...lengths]), Buffer.from(`0\r\n\r\n${SMUGGLED}`)]);
  return { bytes, isAmbiguous: true };
}
