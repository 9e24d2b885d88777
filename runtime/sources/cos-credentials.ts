import { readFile } from 'node:fs/promises';
import type { Variables } from './cloud-variables';
import type { SigningKeys } from './credential-chain';
import { httpRequest, readBody, type HttpRequest } from './http-request';

export type CosIdentity = 'TKE role' | 'CVM role' | 'static keys';

/**
 * What may sign, in this order: the role of the service account, by the token that TKE's pod identity webhook mounts; the
 * role of the machine; static keys. Variables as Tencent's own SDK names them
 * (TencentCloud/tencentcloud-sdk-go: common/oidc_role_arn_provider.go, TencentCloud/tencentcloud-cli: README).
 */
export function cosIdentities(variables: Variables, isEmulator: boolean): readonly CosIdentity[] {
  const has = (...names: readonly string[]): boolean => names.every((name) => (variables[name] ?? '') !== '');
  const identities: CosIdentity[] = [];
  if (has('TKE_REGION', 'TKE_PROVIDER_ID', 'TKE_ROLE_ARN', 'TKE_WEB_IDENTITY_TOKEN_FILE')) identities.push('TKE role');
  // The role of a machine opens no emulator on it.
  if (!isEmulator) identities.push('CVM role');
  if (has('TENCENTCLOUD_SECRET_ID', 'TENCENTCLOUD_SECRET_KEY')) identities.push('static keys');
  return identities;
}

/** Where temporary keys come from; a test puts its own in place. */
export interface CosTokenServices {
  readonly sts: string;
  readonly metadata: string;
}

const SERVICES: CosTokenServices = {
  sts: 'https://sts.tencentcloudapi.com/',
  // Link-local, in the clear by its nature.
  metadata: 'http://metadata.tencentyun.com/latest/meta-data/cam/security-credentials/',
};
/** A machine outside of Tencent's cloud must not wait for the metadata service. */
const METADATA_TIMEOUT_MS = 1_000;
const STS_TIMEOUT_MS = 10_000;
const ROLE_SECONDS = 7_200;

/** @throws Error with the reason when this identity has no keys. */
export function cosKeys(
  identity: CosIdentity,
  variables: Variables,
  services: CosTokenServices = SERVICES,
): Promise<SigningKeys> {
  switch (identity) {
    case 'TKE role':
      return assumeRole(variables, services.sts);
    case 'CVM role':
      return keysOfMachine(services.metadata);
    case 'static keys':
      return Promise.resolve(staticKeys(variables));
  }
}

/** `AssumeRoleWithWebIdentity`, version 2018-08-13, which is not signed: the token speaks for itself. */
async function assumeRole(variables: Variables, endpoint: string): Promise<SigningKeys> {
  // Read every time: the token is renewed in its file.
  const token = await readFile(variables['TKE_WEB_IDENTITY_TOKEN_FILE']!, 'utf8');
  const text = await ask(new URL(endpoint), STS_TIMEOUT_MS, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'X-TC-Action': 'AssumeRoleWithWebIdentity',
      'X-TC-Version': '2018-08-13',
      'X-TC-Region': variables['TKE_REGION']!,
      'X-TC-Timestamp': String(Math.floor(Date.now() / 1_000)),
      Authorization: 'SKIP',
    },
    body: JSON.stringify({
      ProviderId: variables['TKE_PROVIDER_ID'],
      WebIdentityToken: token.trim(),
      RoleArn: variables['TKE_ROLE_ARN'],
      RoleSessionName: 'slipway',
      DurationSeconds: ROLE_SECONDS,
    }),
  });
  const { Response } = JSON.parse(text) as { readonly Response?: StsResponse };
  if (Response?.Error !== undefined) throw new Error(`${Response.Error.Code}: ${Response.Error.Message}`);
  return temporaryKeys({ ...Response?.Credentials, ExpiredTime: Response?.ExpiredTime });
}

async function keysOfMachine(endpoint: string): Promise<SigningKeys> {
  const roles = await ask(new URL(endpoint), METADATA_TIMEOUT_MS);
  const role = roles.split('\n')[0]!.trim();
  if (role === '') throw new Error('the machine has no role');
  const text = await ask(new URL(encodeURIComponent(role), endpoint), METADATA_TIMEOUT_MS);
  return temporaryKeys(JSON.parse(text) as TemporaryKeys);
}

function staticKeys(variables: Variables): SigningKeys {
  const sessionToken = variables['TENCENTCLOUD_TOKEN'];
  return {
    accessKeyId: variables['TENCENTCLOUD_SECRET_ID']!,
    secretAccessKey: variables['TENCENTCLOUD_SECRET_KEY']!,
    ...(sessionToken ? { sessionToken } : {}),
  };
}

interface StsResponse {
  readonly Credentials?: TemporaryKeys;
  readonly ExpiredTime?: number;
  readonly Error?: { readonly Code: string; readonly Message: string };
}

interface TemporaryKeys {
  readonly TmpSecretId?: string;
  readonly TmpSecretKey?: string;
  readonly Token?: string;
  /** Seconds since 1970. */
  readonly ExpiredTime?: number | undefined;
}

function temporaryKeys({ TmpSecretId, TmpSecretKey, Token, ExpiredTime }: TemporaryKeys): SigningKeys {
  if (!TmpSecretId || !TmpSecretKey || !Token || !ExpiredTime) throw new Error('the answer has no temporary keys');
  return {
    accessKeyId: TmpSecretId,
    secretAccessKey: TmpSecretKey,
    sessionToken: Token,
    expiration: new Date(ExpiredTime * 1_000),
  };
}

async function ask(url: URL, timeoutMs: number, request: HttpRequest = {}): Promise<string> {
  const response = await httpRequest(url, AbortSignal.timeout(timeoutMs), { timeoutMs, ...request });
  const text = await readBody(response);
  if (response.statusCode !== 200) throw new Error(`${url.host} answered ${response.statusCode}`);
  return text;
}
