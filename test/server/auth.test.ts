import { createHash } from 'node:crypto';
import { readFileSync, renameSync, symlinkSync, unlinkSync, writeFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { Authenticator } from '../../runtime/server/auth/authenticator';
import type { UnauthorizedReason } from '../../runtime/spec/metric-names';
import { readEnvironment, type ServerSettings } from '../../runtime/spec/environment';
import { addOneModel } from '../support/onnx-models';
import { plainRepository, temporaryFolder } from './harness/model-repository';
import { floats, request, startServer, type RunningServer } from './harness/running-server';
import { until } from './harness/until';

const INFER = 'slipway_an-infer-key';
const READER = 'slipway_a-metadata-key';
const ADMIN = 'slipway_an-admin-key';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');

const KEYS = JSON.stringify([
  { name: 'batch job', sha256: sha256(INFER), groups: ['infer'] },
  { name: 'dashboard', sha256: sha256(READER), groups: ['metadata'], tenant: 'ops' },
  { name: 'operator', sha256: sha256(ADMIN).toUpperCase(), groups: ['infer', 'metadata', 'admin'] },
]);

function authenticator(
  settings: Partial<ServerSettings>,
  reasons: UnauthorizedReason[] = [],
  pollMs?: number,
): Authenticator {
  return new Authenticator({
    settings: { ...readEnvironment({}), ...settings },
    log: pino({ level: 'silent' }),
    onRefused: (reason) => reasons.push(reason),
    pollMs,
  });
}

const bearing = (headers: Record<string, string>): { header: (name: string) => string | undefined } => ({
  header: (name) => headers[name],
});
const bearer = (key: string): ReturnType<typeof bearing> => bearing({ authorization: `Bearer ${key}` });

test('nobody is asked when nothing is configured, and a caller is believed which tenant it is', () => {
  const open = authenticator({ tenantHeader: 'X-Team' });
  expect(open.isOn).toBe(false);
  expect(open.check(bearing({}), 'admin')).toMatchObject({ name: '', tenant: '' });
  expect(open.check(bearing({ 'x-team': 'vision' }), 'infer')).toMatchObject({ name: '', tenant: 'vision' });
});

test('a key lets its holder into its groups and into no other, and names the tenant', () => {
  const reasons: UnauthorizedReason[] = [];
  const keys = authenticator({ apiKeys: KEYS }, reasons);
  expect(keys.check(bearer(INFER), 'infer')).toMatchObject({ name: 'batch job', tenant: 'batch job' });
  expect(keys.check(bearing({ 'x-api-key': READER }), 'metadata')).toMatchObject({ name: 'dashboard', tenant: 'ops' });
  expect(keys.check(bearing({ authorization: `bearer  ${ADMIN}` }), 'admin')).toMatchObject({ name: 'operator' });
  expect(() => keys.check(bearer(INFER), 'metadata')).toThrow("the caller is not in the group 'metadata'");
  expect(() => keys.check(bearer(READER), 'admin')).toThrow("the caller is not in the group 'admin'");
  expect(() => keys.check(bearing({}), 'infer')).toThrow('an API key (Authorization: Bearer, or X-API-Key) is needed');
  expect(() => keys.check(bearer('slipway_another'), 'infer')).toThrow('what came is none that is known');
  expect(() => keys.check(bearing({ authorization: `Basic ${INFER}` }), 'infer')).toThrow('is needed, and none came');
  expect(reasons).toEqual(['forbidden', 'forbidden', 'missing', 'refused', 'missing']);
});

test('a certificate is asked for on top of a key, but not on a port that is plain by design', () => {
  const both = authenticator({ apiKeys: KEYS, tlsClientCa: 'ca.pem' });
  const admin = { 'x-api-key': ADMIN };
  expect(() => both.check(bearing(admin), 'admin')).toThrow('a client certificate is needed');
  expect(both.check({ ...bearing(admin), certificateName: 'gateway' }, 'admin')).toMatchObject({ name: 'operator' });
  expect(both.check({ ...bearing(admin), isPlaintext: true }, 'admin')).toMatchObject({ name: 'operator' });
  expect(() => both.check({ ...bearing({}), isPlaintext: true }, 'admin')).toThrow('an API key');
  const certificates = authenticator({ tlsClientCa: 'ca.pem' });
  expect(certificates.check({ ...bearing({}), certificateName: 'job' }, 'infer')).toMatchObject({ tenant: 'job' });
  expect(() => certificates.check({ ...bearing({}), certificateName: 'job' }, 'admin')).toThrow("group 'admin'");
  expect(certificates.check({ ...bearing({}), isPlaintext: true }, 'admin')).toMatchObject({ name: '' });
});

test('a tenant header says nothing where keys do', () => {
  const keys = authenticator({ apiKeys: KEYS });
  const both = bearing({ 'x-api-key': INFER, 'x-tenant-id': 'somebody else' });
  expect(keys.check(both, 'infer')).toMatchObject({ tenant: 'batch job' });
});

test.each([
  ['no JSON', '[', 'got no JSON'],
  ['no list', '{}', 'must be a JSON list'],
  ['no keys', '[]', 'must hold 1 to 1000 keys, got 0'],
  ['a key without name', [{ sha256: sha256('a') }], '[0].name must be a text'],
  ['a plain key', [{ name: 'a', sha256: 'secret' }], '[0].sha256 must be the 64 hexadecimal digits'],
  ['an unknown group', [{ name: 'a', sha256: sha256('a'), groups: ['root'] }], 'a list of infer, metadata, admin'],
  ['an unknown field', [{ name: 'a', sha256: sha256('a'), scope: 'x' }], "[0] has the unknown field 'scope'"],
  [
    'a name twice',
    [
      { name: 'a', sha256: sha256('a') },
      { name: 'a', sha256: sha256('b') },
    ],
    '[1].name is given twice',
  ],
  [
    'a key twice',
    [
      { name: 'a', sha256: sha256('a') },
      { name: 'b', sha256: sha256('a') },
    ],
    '[1].sha256 is given twice',
  ],
  ['a missing file', 'file:///nowhere/keys.json', 'cannot read /nowhere/keys.json: ENOENT'],
])('refuses to start with %s, and quotes no secret', (_, given, message) => {
  const apiKeys = typeof given === 'string' ? given : JSON.stringify(given);
  const start = (): unknown => authenticator({ apiKeys });
  expect(start).toThrow(`ENVIRONMENT_INVALID SLIPWAY_API_KEYS: `);
  expect(start).toThrow(message);
  expect(start).not.toThrow(/secret|[0-9a-f]{64}/);
});

test('a key file is read again when it changes, also by the link swap of a mounted secret; a broken one changes nothing', async () => {
  const folder = temporaryFolder();
  const version = (name: string, text: string): void => {
    mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, name, 'keys.json'), text);
    symlinkSync(name, path.join(folder, '..new'));
    renameSync(path.join(folder, '..new'), path.join(folder, '..data'));
  };
  version('one', JSON.stringify([{ name: 'old', sha256: sha256('old'), groups: ['infer'] }]));
  symlinkSync('..data/keys.json', path.join(folder, 'keys.json'));
  const keys = authenticator({ apiKeys: pathToFileURL(path.join(folder, 'keys.json')).href }, [], 20);
  await keys.watch();
  onTestFinished(() => keys.close());
  const isLetIn = (key: string): boolean => {
    try {
      void keys.check(bearer(key), 'infer');
      return true;
    } catch {
      return false;
    }
  };
  expect(isLetIn('old')).toBe(true);
  version('broken', '[{"name":');
  version('two', JSON.stringify([{ name: 'new', sha256: sha256('new'), groups: ['infer'] }]));
  await until('the new key is let in', () => isLetIn('new'));
  expect(isLetIn('old')).toBe(false);
  version('three', '[{"name":');
  unlinkSync(path.join(folder, 'keys.json'));
  writeFileSync(path.join(folder, 'keys.json'), 'nothing');
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isLetIn('new')).toBe(true);
  }
  expect(readFileSync(path.join(folder, 'keys.json'), 'utf8')).toBe('nothing');
});

async function guarded(): Promise<RunningServer> {
  return startServer({ modelRepository: plainRepository({ addone: addOneModel() }), apiKeys: KEYS });
}

const GOOD = JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4]));

test('each route wants its group, health wants none, and refusals say which key would do', async () => {
  const server = await guarded();
  const infer = `${server.url}/v2/models/addone/infer`;
  const post = (headers: Record<string, string>): ReturnType<typeof request> =>
    request(infer, { method: 'POST', body: GOOD, headers });
  for (const probe of ['/livez', '/readyz', '/startupz', '/v2/health/live', '/v2/health/ready']) {
    expect((await server.get(probe)).status, probe).toBe(200);
  }
  const nobody = await post({});
  expect(nobody.status).toBe(401);
  expect(nobody.headers.get('www-authenticate')).toBe('Bearer realm="slipway"');
  expect(nobody.json.error).toContain('is needed, and none came');
  const wrong = await post({ 'x-api-key': 'slipway_wrong' });
  expect(wrong.status).toBe(401);
  expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"');
  const reader = await post({ 'x-api-key': READER });
  expect(reader.status).toBe(403);
  expect(reader.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
  expect((await post({ authorization: `Bearer ${INFER}` })).json.outputs[0].data).toEqual([2, 3, 4, 5]);
  for (const route of ['/v2/models', '/v2/models/addone', '/v2/repository/index']) {
    expect((await server.get(route)).status, route).toBe(401);
    const headers = { 'x-api-key': READER };
    expect((await request(`${server.url}${route}`, { headers })).status, route).toBe(200);
  }
  const { text } = await request(`${server.metricsUrl}/metrics`);
  expect(text).toContain('slipway_requests_unauthorized_total{reason="missing"} 4');
  expect(text).toContain('slipway_requests_unauthorized_total{reason="refused"} 1');
  expect(text).toContain('slipway_requests_unauthorized_total{reason="forbidden"} 1');
});

test('a caller is refused before its body is read, and keys never reach the log', async () => {
  const server = await guarded();
  // More than the server takes: it would say so had it looked at the body.
  const answer = await request(`${server.url}/v2/models/addone/infer`, {
    method: 'POST',
    body: Buffer.alloc(1_000_000),
    headers: { 'x-api-key': 'slipway_wrong' },
  });
  expect(answer.status).toBe(401);
  await request(`${server.url}/v2/models/addone?key=${INFER}`, { headers: { 'x-api-key': READER } });
  await until('the line of the second request', () => server.log.some((line) => line['caller'] === 'dashboard'));
  const log = JSON.stringify(server.log);
  expect(log).not.toContain(INFER);
  expect(log).not.toContain(READER);
  expect(log).not.toContain('slipway_wrong');
  expect(log).not.toContain(sha256(INFER));
});
