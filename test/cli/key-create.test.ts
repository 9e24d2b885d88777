import { expect, test } from 'vitest';
import { ApiKeys } from '../../runtime/server/auth/api-keys';
import { slipway } from './terminal';

test('key create prints an entry that lets the holder of the key in, and the key nowhere but on standard error', async () => {
  const { status, stdout, stderr } = await slipway(
    'key',
    'create',
    'batch job',
    '--group',
    'infer',
    '--tenant',
    'vision',
  );
  const key = stderr.trim();
  expect(status).toBe(0);
  expect(key).toMatch(/^slipway_[\w-]{43}$/);
  expect(stdout).not.toContain(key);
  const keys = ApiKeys.read(`[${stdout}]`);
  expect(keys.find(key)).toEqual({ name: 'batch job', tenant: 'vision', groups: new Set(['infer']) });
  expect(keys.find(`${key}x`)).toBeUndefined();
});

test('key create makes another key each time, for inference and metadata unless told otherwise', async () => {
  const [one, two] = [await slipway('key', 'create', 'a'), await slipway('key', 'create', 'a')];
  expect(one.stderr).not.toBe(two.stderr);
  expect(JSON.parse(one.stdout)).toMatchObject({ name: 'a', groups: ['infer', 'metadata'] });
  const wrong = await slipway('key', 'create', 'a', '--group', 'root');
  expect(wrong.status).toBe(2);
  expect(wrong.stderr).toContain("--group must be one of infer, metadata, admin, got 'root'");
});
