import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { ServerSettings } from '../../runtime/spec/environment';
import { call, connectInference } from './grpc/grpc-client';
import { refusal } from './grpc/grpc-server';
import { temporaryFolder } from './harness/model-repository';
import { startServer } from './harness/running-server';
import { addModel, putVersion } from './harness/versions';

const OPERATOR = 'o'.repeat(43);
const CLIENT = 'c'.repeat(43);
const apiKeys = JSON.stringify([
  { name: 'operator', sha256: sha256(OPERATOR), groups: ['admin', 'infer', 'metadata'] },
  { name: 'client', sha256: sha256(CLIENT), groups: ['infer'] },
]);

function sha256(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

async function start(settings: Partial<ServerSettings> = {}) {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  const server = await startServer({ modelRepository: repository, adminPort: 0, apiKeys, ...settings });
  const client = connectInference(server.grpcPort);
  const ask = (method: string, request: object, key = OPERATOR): Promise<any> =>
    call(client, method, request, { metadata: { 'x-api-key': key } });
  const step = async (model: string): Promise<number> => {
    const inputs = [{ name: 'input', datatype: 'FP32', shape: [1, 4], contents: { fp32_contents: [0, 0, 0, 0] } }];
    const answer = await ask('ModelInfer', { model_name: model, inputs });
    return answer.outputs[0].contents.fp32_contents[0] as number;
  };
  return { repository, ask, step };
}

test('a caller of the group admin loads and unloads models', async () => {
  const { repository, ask, step } = await start();
  putVersion(repository, 'late', 1, addModel(9));
  expect(await ask('RepositoryModelLoad', { model_name: 'late' })).toEqual({});
  expect(await step('late')).toBe(9);
  expect(await ask('RepositoryModelUnload', { model_name: 'm' })).toEqual({});
  expect(await refusal(step('m'))).toMatchObject({ code: 14, details: "model 'm' version 1 is not ready: unloaded" });
  putVersion(repository, 'm', 2, addModel(2));
  const config = { string_param: JSON.stringify({ version_policy: { all: {} } }) };
  await ask('RepositoryModelLoad', { model_name: 'm', parameters: { config } });
  expect(await step('m')).toBe(2);
  const { models } = await ask('RepositoryIndex', {});
  expect(models.map(({ name, version, state }: any) => `${name}/${version} ${state}`).toSorted()).toEqual([
    'late/1 READY',
    'm/1 READY',
    'm/2 READY',
  ]);
});

test('a load may take longer than a request', async () => {
  const { ask, repository } = await start({ requestDeadlineSeconds: 0.05 });
  putVersion(repository, 'm', 2, addModel(2));
  expect(await ask('RepositoryModelLoad', { model_name: 'm' })).toEqual({});
});

test('what cannot be done is said with its reason', async () => {
  const { ask, repository } = await start();
  const load = (request: object) => refusal(ask('RepositoryModelLoad', { model_name: 'm', ...request }));
  expect(await load({ model_name: 'nobody' })).toMatchObject({ code: 5 });
  expect(await load({ model_name: '' })).toMatchObject({ code: 5 });
  expect(await load({ repository_name: 'other' })).toMatchObject({ code: 12 });
  expect(await load({ parameters: { config: { int64_param: 1 } } })).toMatchObject({
    code: 3,
    details: 'config must be the JSON of a model configuration in a string, got 1',
  });
  const file = { 'file:1/model.onnx': { bytes_param: Buffer.from('x') } };
  expect((await load({ parameters: file })).details).toMatch(/^'file:1\/model\.onnx' is not taken: /);
  const unload = await refusal(
    ask('RepositoryModelUnload', { model_name: 'm', parameters: { unload_dependents: { string_param: 'yes' } } }),
  );
  expect(unload).toMatchObject({ code: 3, details: 'unload_dependents must be true or false, got "yes"' });
  putVersion(repository, 'm', 2, Buffer.from('not a model'));
  const bad = await load({});
  expect(bad.code).toBe(9);
  expect(bad.details).toMatch(/^model 'm' cannot be loaded: version 2: /);
});

test('nobody else does: no other group, nobody who was not asked, and nobody while the admin port is off', async () => {
  const request = { model_name: 'm' };
  const guarded = await start();
  for (const method of ['RepositoryModelLoad', 'RepositoryModelUnload']) {
    expect(await refusal(guarded.ask(method, request, CLIENT))).toMatchObject({ code: 7 });
    expect(await refusal(guarded.ask(method, request, 'x'.repeat(43)))).toMatchObject({ code: 16 });
  }
  for (const settings of [{ apiKeys: undefined }, { adminPort: undefined }]) {
    const { ask, step } = await start(settings);
    for (const method of ['RepositoryModelLoad', 'RepositoryModelUnload']) {
      const refused = await refusal(ask(method, request));
      expect(refused.code).toBe(12);
      expect(refused.details).toContain('SLIPWAY_ADMIN_PORT');
    }
    expect(await step('m')).toBe(1);
  }
});
