import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { expect, onTestFinished, test } from 'vitest';
import { azureIdentities } from '../../runtime/sources/azure-credentials';
import { cosIdentities, cosKeys } from '../../runtime/sources/cos-credentials';
import { cosClientOptions } from '../../runtime/sources/cos-source';
import { credentialChain } from '../../runtime/sources/credential-chain';
import { ossClientOptions, ossIdentities } from '../../runtime/sources/oss-source';
import { s3Identity } from '../../runtime/sources/s3-source';
import { startFileServer } from '../support/file-server';
import { startAzurite, AZURITE_ACCOUNT, AZURITE_KEY } from '../support/azurite';
import { makeLoopbackCertificate } from '../support/loopback-certificate';
import { addOneModel } from '../support/onnx-models';
import { findTool } from '../support/tools';
import { temporaryFolder } from './harness/model-repository';
import { startServerProcess } from './harness/server-process';

const AWS_KEYS = { AWS_ACCESS_KEY_ID: 'STATIC', AWS_SECRET_ACCESS_KEY: 's' };

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function file(text: string): string {
  const name = path.join(temporaryFolder(), 'file');
  writeFileSync(name, text);
  return name;
}

test('the identity that ECS or EKS gives to a workload comes before static keys', () => {
  const token = { AWS_WEB_IDENTITY_TOKEN_FILE: '/token', AWS_ROLE_ARN: 'arn:aws:iam::1:role/r' };
  expect(s3Identity({ ...AWS_KEYS, ...token })).toBe('token-file');
  expect(s3Identity({ ...AWS_KEYS, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials' })).toBe('endpoint');
  expect(s3Identity({ ...AWS_KEYS, AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.170.23/v1' })).toBe('endpoint');
  expect(s3Identity(AWS_KEYS)).toBe('chain');
  expect(s3Identity({ AWS_ROLE_ARN: 'arn:aws:iam::1:role/r' })).toBe('chain');
});

test.each([
  ['a token file', 'token-file'],
  ['an endpoint', 'endpoint'],
])('S3 is asked with the role of %s, though static keys are set', async (_, kind) => {
  const authorizations: string[] = [];
  const model = addOneModel();
  const store = await serve((incoming, response) => {
    authorizations.push(incoming.headers.authorization ?? '');
    response.end(model);
  });
  const environment: Record<string, string> = {
    ...AWS_KEYS,
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL_S3: store,
    SLIPWAY_MODELS: JSON.stringify([{ name: 'addone', version: 1, folder: 's3://bucket/addone/1/' }]),
  };
  if (kind === 'endpoint') {
    const Expiration = new Date(Date.now() + 3_600_000).toISOString();
    const keys = { AccessKeyId: 'FROMROLE', SecretAccessKey: 's', Token: 't', Expiration };
    environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = await serve((_request, response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(keys));
    });
  } else {
    const sts = await serve((_request, response) => {
      const keys =
        '<AccessKeyId>FROMROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>';
      const expiration = `<Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration>`;
      const result = `<AssumeRoleWithWebIdentityResult><Credentials>${keys}${expiration}</Credentials></AssumeRoleWithWebIdentityResult>`;
      response.setHeader('Content-Type', 'text/xml');
      response.end(
        `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${result}</AssumeRoleWithWebIdentityResponse>`,
      );
    });
    Object.assign(environment, {
      AWS_ENDPOINT_URL_STS: sts,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/r',
      AWS_WEB_IDENTITY_TOKEN_FILE: file('token'),
    });
  }
  const server = await startServerProcess(environment);
  await server.waitFor('not ready');
  expect(authorizations[0]).toContain('Credential=FROMROLE/');
});

test("Alibaba's role of the service account comes first, the machine's second, static keys last", () => {
  const rrsa = {
    ALIBABA_CLOUD_ROLE_ARN: 'acs:ram::1:role/r',
    ALIBABA_CLOUD_OIDC_PROVIDER_ARN: 'acs:ram::1:oidc-provider/p',
    ALIBABA_CLOUD_OIDC_TOKEN_FILE: '/token',
  };
  const keys = { ALIBABA_CLOUD_ACCESS_KEY_ID: 'k', ALIBABA_CLOUD_ACCESS_KEY_SECRET: 's' };
  expect(ossIdentities({ ...keys, ...rrsa }, false)).toEqual(['RRSA', 'ECS role', 'static keys']);
  expect(ossIdentities({ ...keys, ALIBABA_CLOUD_ROLE_ARN: 'r' }, false)).toEqual(['ECS role', 'static keys']);
  expect(ossIdentities({ ...keys, ALIBABA_CLOUD_ECS_METADATA_DISABLED: 'true' }, false)).toEqual(['static keys']);
  expect(ossIdentities({}, false)).toEqual(['ECS role']);
});

test.each([
  [{ OSS_REGION: 'cn-hangzhou' }, 'https://s3.oss-cn-hangzhou.aliyuncs.com', 'cn-hangzhou'],
  [{ ALIBABA_CLOUD_REGION_ID: 'oss-ap-southeast-1' }, 'https://s3.oss-ap-southeast-1.aliyuncs.com', 'ap-southeast-1'],
  [
    { OSS_ENDPOINT: 'oss-cn-beijing-internal.aliyuncs.com' },
    'https://s3.oss-cn-beijing-internal.aliyuncs.com',
    'cn-beijing',
  ],
  [{ OSS_ENDPOINT: 'https://s3.oss-cn-beijing.aliyuncs.com' }, 'https://s3.oss-cn-beijing.aliyuncs.com', 'cn-beijing'],
])('%j leads to the S3-compatible endpoint of OSS', (variables, endpoint, region) => {
  expect(ossClientOptions(variables)).toMatchObject({ endpoint, region, forcePathStyle: false });
});

test.each([
  [{ COS_REGION: 'ap-guangzhou' }, 'https://cos.ap-guangzhou.myqcloud.com', 'ap-guangzhou'],
  [{ TKE_REGION: 'ap-bangkok' }, 'https://cos.ap-bangkok.myqcloud.com', 'ap-bangkok'],
  [{ COS_ENDPOINT: 'cos.ap-tokyo.myqcloud.com' }, 'https://cos.ap-tokyo.myqcloud.com', 'ap-tokyo'],
])('%j leads to the S3-compatible endpoint of COS', (variables, endpoint, region) => {
  expect(cosClientOptions(variables)).toMatchObject({ endpoint, region, forcePathStyle: false });
});

test('a store of a cloud without a region is refused with what to set, and one in the clear always', () => {
  expect(() => ossClientOptions({})).toThrow('set OSS_REGION');
  expect(() => cosClientOptions({})).toThrow('set COS_REGION');
  expect(() => cosClientOptions({ COS_ENDPOINT: 'http://cos.example' })).toThrow('COS_ENDPOINT must be https://');
});

const TKE = {
  TKE_REGION: 'ap-guangzhou',
  TKE_PROVIDER_ID: 'provider',
  TKE_ROLE_ARN: 'qcs::cam::uin/1:roleName/r',
  TKE_WEB_IDENTITY_TOKEN_FILE: '/token',
};
const TENCENT_KEYS = { TENCENTCLOUD_SECRET_ID: 'id', TENCENTCLOUD_SECRET_KEY: 'key' };

test("Tencent's role of the service account comes first, the machine's second, static keys last", () => {
  expect(cosIdentities({ ...TENCENT_KEYS, ...TKE }, false)).toEqual(['TKE role', 'CVM role', 'static keys']);
  expect(cosIdentities({ ...TENCENT_KEYS, TKE_REGION: 'ap-guangzhou' }, false)).toEqual(['CVM role', 'static keys']);
  expect(cosIdentities({}, false)).toEqual(['CVM role']);
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await request.toArray()).toString();
}

test('the token of a TKE pod becomes temporary keys, unsigned, read anew each time', async () => {
  const asked: { readonly headers: IncomingMessage['headers']; readonly body: unknown }[] = [];
  const ExpiredTime = Math.floor(Date.now() / 1_000) + 7_200;
  const sts = await serve((request, response) => {
    void bodyOf(request).then((body) => {
      asked.push({ headers: request.headers, body: JSON.parse(body) });
      const Credentials = { Token: 'token', TmpSecretId: 'id', TmpSecretKey: 'key' };
      const refusal = { Error: { Code: 'InvalidParameter.WebIdentityToken', Message: 'expired' }, RequestId: 'r' };
      const isFirst = asked.length === 1;
      response.end(JSON.stringify({ Response: isFirst ? { Credentials, ExpiredTime, RequestId: 'r' } : refusal }));
    });
  });
  const variables = { ...TKE, TKE_WEB_IDENTITY_TOKEN_FILE: file('jwt\n') };
  const services = { sts, metadata: sts };
  const expiration = new Date(ExpiredTime * 1_000);
  expect(await cosKeys('TKE role', variables, services)).toEqual({
    accessKeyId: 'id',
    secretAccessKey: 'key',
    sessionToken: 'token',
    expiration,
  });
  expect(asked[0]).toMatchObject({
    headers: {
      'x-tc-action': 'AssumeRoleWithWebIdentity',
      'x-tc-version': '2018-08-13',
      'x-tc-region': 'ap-guangzhou',
      authorization: 'SKIP',
    },
    body: { ProviderId: 'provider', WebIdentityToken: 'jwt', RoleArn: TKE.TKE_ROLE_ARN, DurationSeconds: 7_200 },
  });
  await expect(cosKeys('TKE role', variables, services)).rejects.toThrow('InvalidParameter.WebIdentityToken: expired');
});

test('the role of a CVM machine becomes temporary keys', async () => {
  const ExpiredTime = Math.floor(Date.now() / 1_000) + 3_600;
  const metadata = await serve((request, response) => {
    const keys = { TmpSecretId: 'id', TmpSecretKey: 'key', Token: 'token', ExpiredTime, Code: 'Success' };
    response.end(request.url === '/roles/' ? 'my-role' : request.url === '/roles/my-role' ? JSON.stringify(keys) : '');
  });
  const services = { sts: metadata, metadata: `${metadata}/roles/` };
  expect(await cosKeys('CVM role', {}, services)).toMatchObject({ accessKeyId: 'id', sessionToken: 'token' });
  await expect(cosKeys('CVM role', {}, { ...services, metadata: `${metadata}/none/` })).rejects.toThrow('no role');
});

test('the first identity that has keys is asked from then on, and all reasons are told when none has', async () => {
  const asked: string[] = [];
  const chain = credentialChain(['a', 'b', 'c'], (kind) => {
    asked.push(kind);
    return kind === 'a'
      ? Promise.reject(new Error('absent'))
      : Promise.resolve({ accessKeyId: kind, secretAccessKey: '' });
  });
  expect((await chain()).accessKeyId).toBe('b');
  expect((await chain()).accessKeyId).toBe('b');
  expect(asked).toEqual(['a', 'b', 'b']);
  const none = credentialChain(['a', 'b'], (kind) => Promise.reject(new Error(`${kind} is off`)));
  await expect(none()).rejects.toThrow('no credentials: a: a is off; b: b is off');
  const nobody = credentialChain([], () => Promise.reject(new Error('asked')));
  await expect(nobody()).rejects.toThrow('no credentials: the environment names no identity');
});

test("Azure's workload identity comes first, the managed one second, static keys last, a developer's login without them", () => {
  const federated = { AZURE_FEDERATED_TOKEN_FILE: '/token', AZURE_CLIENT_ID: 'c', AZURE_TENANT_ID: 't' };
  const keys = { AZURE_STORAGE_KEY: 'k', AZURE_STORAGE_SAS_TOKEN: 'sv=1' };
  const connection = 'DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=k;EndpointSuffix=core.windows.net';
  expect(azureIdentities('acme', { ...federated, ...keys, AZURE_STORAGE_CONNECTION_STRING: connection })).toEqual([
    'workload identity',
    'managed identity',
    'connection string',
    'shared access signature',
    'account key',
  ]);
  expect(azureIdentities('acme', federated)).toEqual(['workload identity', 'managed identity', 'default']);
  expect(azureIdentities('other', { AZURE_STORAGE_CONNECTION_STRING: connection })).toEqual([
    'managed identity',
    'default',
  ]);
  expect(azureIdentities('other', { ...keys, AZURE_STORAGE_ACCOUNT: 'acme' })).toEqual(['managed identity', 'default']);
  expect(
    azureIdentities('devstoreaccount1', { AZURE_STORAGE_CONNECTION_STRING: 'UseDevelopmentStorage=true' }),
  ).toEqual(['connection string']);
});

test('a managed identity opens a storage account, though a static key is set', async (ctx) => {
  const program = findTool('azurite-blob');
  if (program === undefined) return ctx.skip('azurite-blob is not on the PATH');
  const openssl = findTool('openssl');
  if (openssl === undefined) return ctx.skip('openssl is not on the PATH');
  const tls = makeLoopbackCertificate(openssl);
  const azurite = await startAzurite(program, temporaryFolder(), tls);
  onTestFinished(() => azurite.stop());
  const endpoint = `https://127.0.0.1:${azurite.port}/${AZURITE_ACCOUNT}`;
  const shared = new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY);
  // Taken by the transport, though the type does not name it.
  const trusting = { retryOptions: {}, tlsOptions: { ca: tls.cert } };
  const client = new BlobServiceClient(endpoint, shared, trusting);
  const container = client.getContainerClient('models');
  await container.create();
  await container.getBlockBlobClient('addone/1/model.onnx').uploadData(addOneModel());

  const asked: (string | undefined)[] = [];
  const identity = await serve((request, response) => {
    asked.push(request.headers['x-identity-header'] as string | undefined);
    const now = Math.floor(Date.now() / 1_000);
    const claims = {
      aud: 'https://storage.azure.com',
      iss: 'https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/',
      iat: now - 60,
      nbf: now - 60,
      exp: now + 3_600,
    };
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const access_token = `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.c2lnbmF0dXJl`;
    const expires_on = String(now + 3_600);
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify({ access_token, expires_on, resource: 'https://storage.azure.com', token_type: 'Bearer' }),
    );
  });
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: `az://${AZURITE_ACCOUNT}/models`,
    AZURE_STORAGE_SERVICE_ENDPOINT: endpoint,
    AZURE_STORAGE_KEY: 'bm90IHRoZSBrZXk=',
    IDENTITY_ENDPOINT: `${identity}/token`,
    IDENTITY_HEADER: 'header',
    NODE_EXTRA_CA_CERTS: tls.certificateFile,
  });
  await server.waitFor('ready');
  expect(asked[0]).toBe('header');
});

test('a federated token opens Google Cloud Storage', async (ctx) => {
  const openssl = findTool('openssl');
  if (openssl === undefined) return ctx.skip('openssl is not on the PATH');
  const tls = makeLoopbackCertificate(openssl);
  const model = Buffer.from(addOneModel());
  const asked: string[] = [];
  const store = await startFileServer({
    tls,
    fault: ({ headers, url }, response) => {
      asked.push(`${headers.authorization} ${url}`);
      const facts = { size: String(model.byteLength), generation: '7' };
      if (url!.endsWith('?fields=size%2Cgeneration')) response.end(JSON.stringify(facts));
      else if (url!.endsWith('?alt=media&ifGenerationMatch=7')) response.end(model);
      else response.writeHead(404).end();
      return true;
    },
  });
  const sts = await serve((request, response) => {
    void bodyOf(request).then((body) => {
      const access_token = new URLSearchParams(body).get('subject_token') === 'jwt' ? 'exchanged' : 'wrong';
      response.setHeader('Content-Type', 'application/json');
      const issued_token_type = 'urn:ietf:params:oauth:token-type:access_token';
      response.end(JSON.stringify({ access_token, issued_token_type, token_type: 'Bearer', expires_in: 3_600 }));
    });
  });
  const credentials = {
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${sts}/v1/token`,
    credential_source: { file: file('jwt') },
  };
  const server = await startServerProcess({
    SLIPWAY_MODELS: JSON.stringify([{ name: 'addone', version: 1, folder: 'gs://models/addone/1/' }]),
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${store.url}/storage/v1/`,
    GOOGLE_APPLICATION_CREDENTIALS: file(JSON.stringify(credentials)),
    NODE_EXTRA_CA_CERTS: tls.certificateFile,
  });
  await server.waitFor('ready');
  expect(asked.at(-1)).toBe(
    'Bearer exchanged /storage/v1/b/models/o/addone%2F1%2Fmodel.onnx?alt=media&ifGenerationMatch=7',
  );
});
