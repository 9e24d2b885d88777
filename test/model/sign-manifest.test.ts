import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { expect, onTestFinished, test, vi } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import { openSigner } from '../../runtime/model/sign-manifest';
import { readPublicKeys } from '../../runtime/signing/public-keys';
import { SigningError } from '../../runtime/signing/signing-error';
import { verifySignature } from '../../runtime/signing/verify-signature';
import { temporaryFolder } from '../server/harness/model-repository';
import { startMotoServer } from '../support/moto-server';
import { findTool } from '../support/tools';

const DIGITS = 'models/digits/model.onnx';

function keyFile(pem: string): string {
  const file = path.join(temporaryFolder(), 'key.pem');
  writeFileSync(file, pem);
  return file;
}

function newKey(encoding: Record<string, string> = {}): { readonly file: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem', ...encoding } as { type: 'pkcs8'; format: 'pem' });
  return { file: keyFile(pem.toString()), publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

async function refusalOf(act: Promise<unknown>): Promise<SigningError> {
  const error = await act.then(
    () => new Error('it was taken'),
    (reason: unknown) => reason,
  );
  if (!SigningError.is(error)) throw error;
  return error;
}

test('a published manifest is signed by the key, and the signature holds for its very bytes', async () => {
  const { file, publicPem } = newKey();
  const repository = temporaryFolder();
  const published = await publishModel({ source: DIGITS, name: 'digits', repository, golden: false, signKey: file });
  const folder = path.join(repository, 'digits', '1');
  const manifest = readFileSync(path.join(folder, 'manifest.json'));
  const signature = readFileSync(path.join(folder, 'manifest.json.sig'), 'utf8');
  const keys = readPublicKeys(publicPem, 'cosign.pub');
  expect(verifySignature(manifest, signature, keys, folder).fingerprint).toBe(published.signedBy);
  expect(() => verifySignature(manifest.subarray(1), signature, keys, folder)).toThrow('SIGNATURE_WRONG');
  expect(published.manifest.files.map((each) => each.path)).not.toContain('manifest.json.sig');
});

test('an encrypted key is opened with the password that cosign takes, and never without', async () => {
  const { file } = newKey({ cipher: 'aes-256-cbc', passphrase: 'correct' });
  const closed = await refusalOf(openSigner(file));
  expect(closed.message).toBe(`SIGNING_KEY_INVALID ${file}: is encrypted, and COSIGN_PASSWORD is not set`);
  vi.stubEnv('COSIGN_PASSWORD', 'wrong');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect((await refusalOf(openSigner(file))).message).toContain('COSIGN_PASSWORD does not open it');
  vi.stubEnv('COSIGN_PASSWORD', 'correct');
  expect((await openSigner(file)).publicKey.fingerprint).toMatch(/^[0-9a-f]{64}$/);
});

test.for([
  [
    'a key of cosign',
    '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----',
    'import-key-pair',
  ],
  [
    'a public key',
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }),
    'holds no private key',
  ],
  [
    'an RSA key',
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    'got rsa',
  ],
  ['no key at all', 'hello', 'holds no private key'],
] as const)('%s is refused with what would work, and not repeated', async ([, pem, text]) => {
  const error = await refusalOf(openSigner(keyFile(pem.toString())));
  expect(error.code).toBe('SIGNING_KEY_INVALID');
  expect(error.message).toContain(text);
  expect(error.message).not.toContain(pem.toString().split('\n')[1] ?? pem);
});

test('a key file that is not there, and a name that is none of the KMS, are said so', async () => {
  expect((await refusalOf(openSigner('/no/such/key.pem'))).message).toContain('cannot be read');
  expect((await refusalOf(openSigner('awskms://nothing'))).message).toContain('must be awskms:///<key id>');
});

test('a key in the KMS signs what its public half verifies, and a key that is not there is named', async (ctx) => {
  const program = findTool('moto_server');
  if (program === undefined) return ctx.skip('moto_server is not on the PATH');
  const moto = await startMotoServer(program);
  onTestFinished(() => moto.stop());
  const variables = { AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's', AWS_REGION: 'us-east-1' };
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const client = new KMSClient({ endpoint: moto.endpoint });
  const { KeyMetadata } = await client.send(
    new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
  );
  const host = new URL(moto.endpoint).host;
  const signer = await openSigner(`awskms://${host}/${KeyMetadata!.KeyId!}`);
  const signature = await signer.sign(Buffer.from('a manifest'));
  // The emulator takes the digest that it is given for a message, and hashes it once more.
  const bytes = createHash('sha256').update('a manifest').digest();
  const pem = createPublicKey(signer.publicKey.key.export({ type: 'spki', format: 'pem' })).export({
    type: 'spki',
    format: 'pem',
  });
  expect(verifySignature(bytes, signature, readPublicKeys(pem.toString(), 'kms'), 'm').fingerprint).toBe(
    signer.publicKey.fingerprint,
  );
  const missing = await refusalOf(openSigner(`awskms://${host}/00000000-0000-0000-0000-000000000000`));
  expect(missing.message).toMatch(/^SIGNING_KEY_INVALID awskms:.*: cannot be used: NotFoundException/);
  const other = await client.send(new CreateKeyCommand({ KeySpec: 'ECC_NIST_P384', KeyUsage: 'SIGN_VERIFY' }));
  expect((await refusalOf(openSigner(`awskms://${host}/${other.KeyMetadata!.KeyId!}`))).message).toMatch(
    /got ec on secp384r1; aws kms create-key --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY$/,
  );
});

test('a KMS that does not answer is no fault of the key, and an ARN is asked for in its own region', async () => {
  const variables = {
    AWS_ACCESS_KEY_ID: 'k',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_REGION: 'us-east-1',
    AWS_MAX_ATTEMPTS: '1',
  };
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  expect((await refusalOf(openSigner('awskms://127.0.0.1:1/alias/models'))).code).toBe('SIGNING_KEY_UNREACHABLE');
  const scopes: string[] = [];
  const kms = createServer((request, response) => {
    scopes.push(/Credential=([^,]+)/.exec(request.headers.authorization ?? '')![1]!);
    response.writeHead(400, { 'Content-Type': 'application/x-amz-json-1.1' }).end('{"__type":"DisabledException"}');
  });
  await new Promise<void>((resolve) => kms.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void kms.close());
  const { port } = kms.address() as AddressInfo;
  const arn = 'arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000';
  expect((await refusalOf(openSigner(`awskms://127.0.0.1:${port}/${arn}`))).code).toBe('SIGNING_KEY_INVALID');
  expect(scopes).toEqual([expect.stringMatching(/^k\/\d{8}\/eu-west-1\/kms\/aws4_request$/)]);
});
