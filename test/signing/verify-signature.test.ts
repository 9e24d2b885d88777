import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { readPublicKeys, type PublicKey } from '../../runtime/signing/public-keys';
import { SigningError } from '../../runtime/signing/signing-error';
import { verifySignature } from '../../runtime/signing/verify-signature';

const BYTES = Buffer.from('{"schema":"slipway.dev/model-manifest/v1"}\n');

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

function pair(namedCurve = 'P-256'): { readonly sign: (bytes: Uint8Array) => string; readonly pem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
  return {
    sign: (bytes) => createSign('sha256').update(bytes).sign(privateKey, 'base64'),
    pem: pem(publicKey),
  };
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (SigningError.is(error)) return error.code;
    throw error;
  }
  return 'accepted';
}

const ours = pair();
const keys: readonly PublicKey[] = readPublicKeys(ours.pem, 'keys');

test('the signature of the very bytes is accepted, and the key that made it is named', () => {
  const others = readPublicKeys(pair().pem + ours.pem, 'keys');
  const signer = verifySignature(BYTES, `${ours.sign(BYTES)}\n`, others, 'digits/1/');
  expect(signer.fingerprint).toBe(keys[0]!.fingerprint);
  expect(signer.fingerprint).toMatch(/^[0-9a-f]{64}$/);
});

test.for([
  [
    'one byte of the manifest changed',
    () => verifySignature(Buffer.concat([BYTES, Buffer.from(' ')]), ours.sign(BYTES), keys, 'm'),
  ],
  ['another key signed', () => verifySignature(BYTES, pair().sign(BYTES), keys, 'm')],
  ['no key is trusted', () => verifySignature(BYTES, ours.sign(BYTES), [], 'm')],
  ['the signature is no Base64', () => verifySignature(BYTES, 'no signature!', keys, 'm')],
  ['the signature is empty', () => verifySignature(BYTES, '', keys, 'm')],
  ['the signature is megabytes', () => verifySignature(BYTES, 'AAAA'.repeat(1_000_000), keys, 'm')],
  ['the signature is Base64 of something else', () => verifySignature(BYTES, 'AAAA', keys, 'm')],
] as const)('refused as wrong when %s', ([, act]) => {
  expect(codeOf(act)).toBe('SIGNATURE_WRONG');
});

test('a manifest without a signature is told from one with a wrong one', () => {
  expect(codeOf(() => verifySignature(BYTES, undefined, keys, 'm'))).toBe('SIGNATURE_MISSING');
});

test.for([
  ['nothing', ''],
  ['a block that is no key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'],
  ['a key on another curve', pair('P-384').pem],
  ['an RSA key', pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)],
  ['a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
  ['too many keys', ours.pem.repeat(65)],
] as const)('%s is no list of keys', ([, text]) => {
  expect(codeOf(() => readPublicKeys(text, 'keys'))).toBe('SIGNING_KEY_INVALID');
});

test('a private key in the place of a public one is refused without being repeated', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const secret = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  let message = '';
  try {
    readPublicKeys(secret, 'SLIPWAY_MODEL_SIGNING_KEYS');
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message).toMatch(/^SIGNING_KEY_INVALID SLIPWAY_MODEL_SIGNING_KEYS: holds a PRIVATE KEY;/);
  expect(message).not.toContain(secret.split('\n')[1]);
});
