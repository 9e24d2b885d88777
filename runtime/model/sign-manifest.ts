import { createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { assertP256, fingerprintOf, type PublicKey } from '../signing/public-keys';
import { SigningError } from '../signing/signing-error';
import { importPackage } from './import-package';

/** What signs manifests, and the public half by which its signatures are known. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** ECDSA on P-256 over the SHA-256 of the bytes: DER in Base64, as `cosign sign-blob` writes it. */
  readonly sign: (bytes: Uint8Array) => Promise<string>;
}

/** The password of an encrypted key, under cosign's own name for it. */
const PASSWORD_VARIABLE = 'COSIGN_PASSWORD';

/**
 * The signer of a key: a PEM file with a private key on P-256, encrypted or not, or `awskms:///<key id, ARN or alias>` as cosign
 * writes it. A key of the KMS never leaves it.
 * @throws SigningError SIGNING_KEY_INVALID, SIGNING_KEY_UNREACHABLE, PublishError PACKAGE_MISSING
 */
export function openSigner(key: string): Promise<Signer> {
  return key.startsWith('awskms://') ? kmsSigner(key) : fileSigner(key);
}

async function fileSigner(file: string): Promise<Signer> {
  const key = privateKey(await read(file), file);
  return {
    publicKey: { key: createPublicKey(key), fingerprint: fingerprintOf(key) },
    sign: (bytes) => Promise.resolve(sign('sha256', bytes, { key, dsaEncoding: 'der' }).toString('base64')),
  };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw invalid(file, `cannot be read: ${(error as Error).message}`);
  }
}

/** Never repeats what the file holds, nor what OpenSSL says of it. */
function privateKey(pem: string, file: string): KeyObject {
  if (/-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----/.test(pem)) {
    throw invalid(
      file,
      "is encrypted in cosign's own way, which OpenSSL does not read; make a key with openssl ecparam -name prime256v1 " +
        '-genkey -noout -out key.pem, and give the same one to cosign with cosign import-key-pair --key key.pem',
    );
  }
  const passphrase = process.env[PASSWORD_VARIABLE];
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    const isEncrypted = /ENCRYPTED/.test(pem);
    throw invalid(
      file,
      isEncrypted
        ? `is encrypted, and ${PASSWORD_VARIABLE} ${passphrase === undefined ? 'is not set' : 'does not open it'}`
        : 'holds no private key; give PEM that begins with -----BEGIN PRIVATE KEY----- or -----BEGIN EC PRIVATE KEY-----',
    );
  }
  assertP256(key, file);
  return key;
}

/** `awskms://[host:port]/<key>`: a host is an emulator's or a private endpoint's. */
const KMS_URI = /^awskms:\/\/([^/]*)\/((?:arn:[^/]+:kms:.+)|(?:alias\/[\w/-]+)|(?:[\w-]+))$/;

async function kmsSigner(uri: string): Promise<Signer> {
  const match = KMS_URI.exec(uri);
  if (match === null) {
    throw invalid(uri, 'must be awskms:///<key id>, awskms:///alias/<name> or awskms:///<ARN>');
  }
  const [, host = '', KeyId] = match;
  const kms = await importPackage('@aws-sdk/client-kms', 'to sign with awskms://', () => import('@aws-sdk/client-kms'));
  const isLocal = /^(localhost|127\.|\[::1\])/.test(host);
  // An ARN says where its key is, whatever region the environment names.
  const region = /^arn:[^:]+:kms:([a-z0-9-]+):/.exec(KeyId!)?.[1];
  const client = new kms.KMSClient({
    ...(region === undefined ? {} : { region }),
    ...(host === '' ? {} : { endpoint: `${isLocal ? 'http' : 'https'}://${host}` }),
  });
  const ask = async <T>(what: () => Promise<T>): Promise<T> => {
    try {
      return await what();
    } catch (error) {
      const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
      const status = $metadata?.httpStatusCode ?? 0;
      const code = status >= 400 && status < 500 ? 'SIGNING_KEY_INVALID' : 'SIGNING_KEY_UNREACHABLE';
      throw new SigningError(code, uri, `cannot be used: ${name}: ${message.replace(/\s+/g, ' ')}`);
    }
  };
  const { PublicKey: der } = await ask(() => client.send(new kms.GetPublicKeyCommand({ KeyId })));
  const key = createPublicKey({ key: Buffer.from(der!), format: 'der', type: 'spki' });
  assertP256(key, uri, 'aws kms create-key --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY');
  return {
    publicKey: { key, fingerprint: fingerprintOf(key) },
    sign: async (bytes) => {
      const Message = createHash('sha256').update(bytes).digest();
      const command = { KeyId, Message, MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' } as const;
      const { Signature } = await ask(() => client.send(new kms.SignCommand(command)));
      return Buffer.from(Signature!).toString('base64');
    },
  };
}

function invalid(where: string, message: string): SigningError {
  return new SigningError('SIGNING_KEY_INVALID', where, message);
}
