import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { BearerTokens } from '../../runtime/server/auth/bearer-tokens';
import type { Principal } from '../../runtime/server/auth/principal';
import { ServerError } from '../../runtime/server/errors';
import { addOneModel } from '../support/onnx-models';
import { plainRepository, temporaryFolder } from './harness/model-repository';
import { floats, request, startServer } from './harness/running-server';

const ISSUER = 'https://login.example';
const AUDIENCE = 'slipway';

type Claims = Record<string, unknown>;

interface Signer {
  readonly jwk: object;
  sign(claims?: Claims, header?: object): Promise<string>;
}

async function signer(kid: string, alg = 'ES256'): Promise<Signer> {
  const { exportJWK, generateKeyPair, SignJWT } = await import('jose');
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
    sign: (claims = {}, header = {}) =>
      new SignJWT({
        sub: 'job-7',
        slipway_groups: ['infer'],
        iss: ISSUER,
        aud: AUDIENCE,
        exp: inSeconds(60),
        ...claims,
      })
        .setProtectedHeader({ alg, kid, ...header })
        .sign(privateKey),
  };
}

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds;

/** An identity provider: its key set can be changed, and it can fail. */
interface Provider {
  readonly url: string;
  keys: object[];
  status: number;
  body: string | undefined;
  requests: number;
}

async function provider(keys: object[]): Promise<Provider> {
  const state: Provider = { url: '', keys, status: 200, body: undefined, requests: 0 };
  const server: Server = createServer((_, response) => {
    state.requests += 1;
    response.writeHead(state.status, { 'Content-Type': 'application/json', Location: '/elsewhere' });
    response.end(state.body ?? JSON.stringify({ keys: state.keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return Object.assign(state, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys` });
}

function tokens(jwks: string, options: { now?: () => number; failures?: string[] } = {}): BearerTokens {
  const onFailure = (reason: string): void => void options.failures?.push(reason);
  return new BearerTokens({ jwks, issuer: ISSUER, audience: AUDIENCE, onFailure, now: options.now });
}

async function refusal(check: () => Principal | Promise<Principal>): Promise<ServerError> {
  try {
    await check();
  } catch (error) {
    if (error instanceof ServerError) return error;
    throw error;
  }
  throw new Error('the token was let in');
}

test('a token of the provider lets its subject into the groups that it names', async () => {
  const key = await signer('one');
  const check = tokens((await provider([key.jwk])).url);
  const groups = async (claims: Claims): Promise<string[]> => [...(await check.check(await key.sign(claims))).groups];
  expect(await check.check(await key.sign())).toEqual({ name: 'job-7', tenant: 'job-7', groups: new Set(['infer']) });
  expect(await check.check(await key.sign({ slipway_tenant: 'vision' }))).toMatchObject({ tenant: 'vision' });
  expect(await groups({ slipway_groups: 'infer metadata root' })).toEqual(['infer', 'metadata']);
  expect(await groups({ slipway_groups: undefined, scope: 'openid slipway:infer slipway:admin' })).toEqual([
    'infer',
    'admin',
  ]);
  expect(await groups({ slipway_groups: undefined, scp: ['slipway:metadata'] })).toEqual(['metadata']);
  expect(await groups({ slipway_groups: undefined })).toEqual([]);
  expect(await groups({ slipway_groups: [], scope: 'slipway:admin' })).toEqual([]);
});

test.each(['RS256', 'PS256', 'ES384', 'EdDSA'])('signatures by %s are checked', async (alg) => {
  const key = await signer('one', alg);
  const other = await signer('one', alg);
  const check = tokens((await provider([key.jwk])).url);
  expect(await check.check(await key.sign())).toMatchObject({ name: 'job-7' });
  const forged = await refusal(async () => check.check(await other.sign()));
  expect(forged.message).toBe('the bearer token is not valid: its signature is wrong');
});

test('a token that is not meant for this server, or not yet, or no longer, gets 401 with the reason', async () => {
  const key = await signer('one');
  const check = tokens((await provider([key.jwk])).url);
  const reason = async (claims: Claims, header?: object): Promise<string> => {
    const { status, message, headers } = await refusal(async () => check.check(await key.sign(claims, header)));
    expect(status).toBe(401);
    expect(headers['WWW-Authenticate']).toBe('Bearer realm="slipway", error="invalid_token"');
    return message.replace('the bearer token is not valid: ', '');
  };
  expect(await reason({ iss: 'https://another.example' })).toBe('it is from another issuer');
  expect(await reason({ aud: 'another' })).toBe('it is for another audience');
  expect(await reason({ exp: inSeconds(-31) })).toBe('it has expired');
  expect(await reason({ nbf: inSeconds(300) })).toBe('its time has not come yet');
  expect(await reason({ exp: undefined })).toBe('it does not say when it expires');
  expect(await reason({ sub: undefined })).toBe('it names no subject');
  expect(await reason({ sub: '' })).toBe('it names no subject');
  expect(await reason({}, { kid: 'another' })).toBe('it is signed with a key that is not known');
  // Clocks differ by some seconds.
  expect(await check.check(await key.sign({ exp: inSeconds(-10) }))).toMatchObject({ name: 'job-7' });
});

test('a token without signature, or signed with a shared secret, is refused whatever the key set says', async () => {
  const { SignJWT, UnsecuredJWT } = await import('jose');
  const key = await signer('one');
  const secret = new TextEncoder().encode(JSON.stringify(key.jwk));
  const check = tokens(
    (await provider([key.jwk, { kty: 'oct', kid: 'shared', k: Buffer.from(secret).toString('base64url') }])).url,
  );
  const claims = { sub: 'job-7', slipway_groups: ['admin'], iss: ISSUER, aud: AUDIENCE, exp: inSeconds(60) };
  const unsigned = new UnsecuredJWT(claims).encode();
  expect((await refusal(() => check.check(unsigned))).status).toBe(401);
  for (const kid of ['one', 'shared']) {
    const shared = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(secret);
    expect((await refusal(() => check.check(shared))).message).toContain('it must be signed with one of RS256');
  }
  expect((await refusal(() => check.check('a.b.c'))).message).toContain('it cannot be read');
});

test('a token that was checked is let in at once, until a minute or its own time has passed', async () => {
  const key = await signer('one');
  let now = Date.now();
  const check = tokens((await provider([key.jwk])).url, { now: () => now });
  const token = await key.sign({ exp: inSeconds(3_600) });
  const short = await key.sign({ exp: inSeconds(10) });
  await check.check(token);
  await check.check(short);
  expect(check.check(token)).not.toBeInstanceOf(Promise);
  now += 50_000;
  expect(check.check(token)).not.toBeInstanceOf(Promise);
  expect((await refusal(() => check.check(short))).message).toContain('it has expired');
  now += 11_000;
  expect(check.check(token)).toBeInstanceOf(Promise);
});

test('an unknown key is asked for once in half a minute, and a rotated one is found', async () => {
  const [old, fresh] = [await signer('old'), await signer('fresh')];
  const identity = await provider([old.jwk]);
  let now = Date.now();
  const check = tokens(identity.url, { now: () => now });
  await check.check(await old.sign());
  identity.keys = [old.jwk, fresh.jwk];
  for (let i = 0; i < 20; i++) await refusal(async () => check.check(await fresh.sign({ jti: i })));
  expect(identity.requests).toBe(1);
  now += 31_000;
  expect(await check.check(await fresh.sign())).toMatchObject({ name: 'job-7' });
  expect(identity.requests).toBe(2);
  for (let i = 0; i < 20; i++) await refusal(async () => check.check(await fresh.sign({ jti: i }, { kid: `${i}` })));
  expect(identity.requests).toBe(2);
});

test('a provider that cannot be reached is 503, not 401, and keys that are known go on working', async () => {
  const key = await signer('one');
  const identity = await provider([key.jwk]);
  const failures: string[] = [];
  let now = Date.now();
  identity.status = 500;
  const check = tokens(identity.url, { now: () => now, failures });
  const token = (): Promise<string> => key.sign({ exp: inSeconds(7_200) });
  const down = await refusal(async () => check.check(await token()));
  expect(down).toMatchObject({ code: 'AUTHENTICATION_UNAVAILABLE', status: 503 });
  expect(down.headers['Retry-After']).toBe('5');
  expect(down.message).not.toContain(identity.url);
  expect(failures).toEqual(['the key set was answered 500']);
  await refusal(async () => check.check(await token()));
  expect(identity.requests).toBe(1);
  identity.status = 200;
  now += 6_000;
  expect(await check.check(await token())).toMatchObject({ name: 'job-7' });
  // The set is no longer fresh, and the provider is gone again.
  identity.status = 500;
  now += 700_000;
  expect(await check.check(await token())).toMatchObject({ name: 'job-7' });
  const unknown = await refusal(async () => check.check(await key.sign({}, { kid: 'unknown' })));
  expect(unknown.status).toBe(503);
});

test('a key set that is too large, redirected or no key set is not taken', async () => {
  const key = await signer('one');
  const identity = await provider([key.jwk]);
  const failures: string[] = [];
  const attempt = async (status: number, body: string | undefined): Promise<void> => {
    Object.assign(identity, { status, body });
    const check = tokens(identity.url, { failures });
    expect((await refusal(async () => check.check(await key.sign()))).status).toBe(503);
  };
  await attempt(302, undefined);
  await attempt(200, JSON.stringify({ keys: [key.jwk], padding: 'x'.repeat(300_000) }));
  await attempt(200, JSON.stringify({ keys: Array.from({ length: 101 }, () => key.jwk) }));
  await attempt(200, 'no JSON');
  await attempt(200, '{}');
  expect(failures).toHaveLength(5);
});

test('says at the start what of the configuration cannot be meant', () => {
  const start = (options: Partial<ConstructorParameters<typeof BearerTokens>[0]>): (() => unknown) => {
    const all = { jwks: 'https://login.example/keys', issuer: ISSUER, audience: AUDIENCE, onFailure: () => {} };
    return () => new BearerTokens({ ...all, ...options });
  };
  expect(start({})).not.toThrow();
  expect(start({ issuer: undefined })).toThrow('ENVIRONMENT_INVALID SLIPWAY_JWT_ISSUER: must be set together with');
  expect(start({ audience: undefined })).toThrow('ENVIRONMENT_INVALID SLIPWAY_JWT_AUDIENCE: must be set together with');
  for (const jwks of ['http://login.example/keys', 'login.example', 'ftp://login.example/keys']) {
    expect(start({ jwks })).toThrow('SLIPWAY_JWT_JWKS: must be an https:// or file:// URI');
  }
});

test('the server lets tokens and keys in side by side, with the key set from a file', async () => {
  const key = await signer('one');
  const file = path.join(temporaryFolder(), 'keys.json');
  writeFileSync(file, JSON.stringify({ keys: [key.jwk] }));
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel() }),
    apiKeys: JSON.stringify([{ name: 'old client', sha256: createHash('sha256').update('a-key').digest('hex') }]),
    jwtJwks: pathToFileURL(file).href,
    jwtIssuer: ISSUER,
    jwtAudience: AUDIENCE,
  });
  const post = (token: string): ReturnType<typeof request> =>
    request(`${server.url}/v2/models/addone/infer`, {
      method: 'POST',
      body: JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4])),
      headers: { authorization: `Bearer ${token}` },
    });
  const token = await key.sign();
  for (let i = 0; i < 2; i++) expect((await post(token)).json.outputs[0].data).toEqual([2, 3, 4, 5]);
  expect((await post(await key.sign({ slipway_groups: ['metadata'] }))).status).toBe(403);
  expect((await post('a-key')).status).toBe(200);
  expect((await post('another-key')).status).toBe(401);
  expect(JSON.stringify(server.log)).not.toContain(token);
});
