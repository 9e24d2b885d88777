import { verify } from 'node:crypto';
import type { PublicKey } from './public-keys';
import { SigningError } from './signing-error';

/** A signature of P-256 has 70 to 72 bytes in DER, and may lose leading zeros; anything much longer is none. */
const MAX_SIGNATURE_BYTES = 128;
/** Nobody has to read more of a signature's file than this. */
export const MAX_SIGNATURE_TEXT_BYTES = 4_096;

/**
 * Holds bytes, a manifest's, against the signature that lies beside them: ECDSA on P-256 over their SHA-256, DER in Base64, as
 * `cosign sign-blob` writes it and `openssl dgst -sha256 -sign` does before Base64.
 * @param signature the text of `manifest.json.sig`, undefined where there is none
 * @param where what is verified, for messages
 * @returns the key that has signed
 * @throws SigningError SIGNATURE_MISSING, SIGNATURE_WRONG
 */
export function verifySignature(
  bytes: Uint8Array,
  signature: string | undefined,
  keys: readonly PublicKey[],
  where: string,
): PublicKey {
  if (signature === undefined) {
    throw new SigningError('SIGNATURE_MISSING', where, 'is not signed; publish it with --sign-key');
  }
  const der = decode(signature);
  const signer = der && keys.find(({ key }) => verify('sha256', bytes, { key, dsaEncoding: 'der' }, der));
  if (signer !== undefined) return signer;
  const known = keys.map(({ fingerprint }) => fingerprint.slice(0, 16)).join(', ');
  throw new SigningError(
    'SIGNATURE_WRONG',
    where,
    der === undefined
      ? 'has a signature file that is no Base64 of a signature; publish it again with --sign-key'
      : `is signed by none of the keys ${known}, or was changed after it was signed`,
  );
}

function decode(text: string): Buffer | undefined {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(trimmed) || trimmed.length % 4 !== 0) return undefined;
  const der = Buffer.from(trimmed, 'base64');
  return der.byteLength <= MAX_SIGNATURE_BYTES ? der : undefined;
}
