import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { SigningError } from './signing-error';

/** A key that signatures are held against. */
export interface PublicKey {
  readonly key: KeyObject;
  /** SHA-256 of the key in its DER form, in lower-case hexadecimal: what people compare. */
  readonly fingerprint: string;
}

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;
/** More keys than anybody rotates through; each costs a verification. */
const MAX_KEYS = 64;

/**
 * The keys of a text: one or several `PUBLIC KEY` blocks in PEM, as `cosign.pub` is one. ECDSA on the curve P-256 alone, which
 * is what cosign makes and every KMS has.
 * @param where the file, option or variable that the text comes from, for messages
 * @throws SigningError SIGNING_KEY_INVALID; it never repeats the text, which may be a private key
 */
export function readPublicKeys(text: string, where: string): readonly PublicKey[] {
  const blocks = [...text.matchAll(PEM_BLOCK)];
  if (blocks.length === 0) throw invalid(where, 'holds no key; give PEM that begins with -----BEGIN PUBLIC KEY-----');
  if (blocks.length > MAX_KEYS) throw invalid(where, `holds ${blocks.length} keys, at most ${MAX_KEYS} are tried`);
  return blocks.map(([block, label]) => {
    if (label !== 'PUBLIC KEY') {
      throw invalid(where, `holds a ${label}; give the public key alone: openssl pkey -in key.pem -pubout`);
    }
    return publicKey(block, where);
  });
}

function publicKey(pem: string, where: string): PublicKey {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw invalid(where, 'holds a PUBLIC KEY block that is no key');
  }
  assertP256(key, where);
  return { key, fingerprint: fingerprintOf(key) };
}

/**
 * @param remedy the command that makes such a key
 * @throws SigningError SIGNING_KEY_INVALID for any other kind of key.
 */
export function assertP256(key: KeyObject, where: string, remedy = 'openssl ecparam -name prime256v1 -genkey'): void {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === 'ec' && curve === 'prime256v1') return;
  const got = `${key.asymmetricKeyType ?? 'another key'}${curve === undefined ? '' : ` on ${curve}`}`;
  throw invalid(where, `must be an ECDSA key on the curve P-256, got ${got}; ${remedy}`);
}

/** The fingerprint of a public key, or of the public half of a private one. */
export function fingerprintOf(key: KeyObject): string {
  const half = key.type === 'public' ? key : createPublicKey(key);
  return createHash('sha256')
    .update(half.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

function invalid(where: string, message: string): SigningError {
  return new SigningError('SIGNING_KEY_INVALID', where, message);
}
