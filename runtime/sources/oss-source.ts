import type * as S3 from '@aws-sdk/client-s3';
import { SourceError } from './model-source';
import { cloudVariables, type Variables } from './cloud-variables';
import { credentialChain, type SigningKeys } from './credential-chain';
import { S3_REQUEST_HANDLER, s3CompatibleSource } from './s3-compatible-source';
import { storeEndpoint } from './store-endpoint';

/**
 * Objects in Alibaba Cloud OSS, at `oss://<bucket>/<key>`, through its S3-compatible endpoint
 * `https://s3.oss-<region>.aliyuncs.com` (https://help.aliyun.com/en/oss/developer-reference/use-aws-sdks-to-access-oss).
 * The region is `OSS_REGION` or `ALIBABA_CLOUD_REGION_ID`; `OSS_ENDPOINT` names another address, the internal one say.
 */
export const ossSource = s3CompatibleSource('oss', ({ S3Client }) => new S3Client(ossClientOptions(cloudVariables())));

/** @throws SourceError without region and endpoint */
export function ossClientOptions(variables: Variables): S3.S3ClientConfig {
  const named = storeEndpoint(variables['OSS_ENDPOINT'], 'OSS_ENDPOINT');
  const region = variables['OSS_REGION'] || variables['ALIBABA_CLOUD_REGION_ID'] || regionOf(named?.url);
  if (named === undefined && region === undefined) {
    throw new SourceError('permanent', 'oss:// needs a region: set OSS_REGION, as in cn-hangzhou, or OSS_ENDPOINT');
  }
  // Regions are also written with the prefix that they have in host names.
  const id = (region ?? 'us-east-1').replace(/^oss-/, '');
  const isEmulator = named?.isLocal ?? false;
  return {
    endpoint: named === undefined ? `https://s3.oss-${id}.aliyuncs.com` : s3Host(named.url),
    region: id,
    // OSS knows a bucket by its host name alone.
    forcePathStyle: isEmulator,
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: S3_REQUEST_HANDLER,
    credentials: credentialChain(ossIdentities(variables, isEmulator), askForKeys),
  };
}

/** `https://oss-cn-hangzhou.aliyuncs.com` speaks OSS's own protocol; S3's is spoken beside it. */
function s3Host(url: URL): string {
  return url.origin.replace('://oss-', '://s3.oss-');
}

function regionOf(url: URL | undefined): string | undefined {
  return /(?:^|\.)oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com$/.exec(url?.hostname ?? '')?.[1];
}

export type OssIdentity = 'RRSA' | 'ECS role' | 'static keys';

/**
 * What may sign, in this order: the role of the service account (RRSA), the role of the machine, static keys. The library's
 * own chain would begin with static keys. Variables as the pod identity webhook of ACK and the library name them.
 */
export function ossIdentities(variables: Variables, isEmulator: boolean): readonly OssIdentity[] {
  const has = (...names: readonly string[]): boolean => names.every((name) => (variables[name] ?? '') !== '');
  const identities: OssIdentity[] = [];
  if (has('ALIBABA_CLOUD_ROLE_ARN', 'ALIBABA_CLOUD_OIDC_PROVIDER_ARN', 'ALIBABA_CLOUD_OIDC_TOKEN_FILE')) {
    identities.push('RRSA');
  }
  const hasMetadata = variables['ALIBABA_CLOUD_ECS_METADATA_DISABLED']?.toLowerCase() !== 'true';
  // The role of a machine opens no emulator on it.
  if (hasMetadata && !isEmulator) identities.push('ECS role');
  if (has('ALIBABA_CLOUD_ACCESS_KEY_ID', 'ALIBABA_CLOUD_ACCESS_KEY_SECRET')) identities.push('static keys');
  return identities;
}

/** The library renews what it gave a quarter of an hour before it ends, so its keys are good for this long. */
const KEYS_MS = 10 * 60_000;

type Provider = { getCredentials(): Promise<{ accessKeyId: string; accessKeySecret: string; securityToken: string }> };
const providers = new Map<OssIdentity, Provider>();

async function askForKeys(identity: OssIdentity): Promise<SigningKeys> {
  const provider = providers.get(identity) ?? (await createProvider(identity));
  providers.set(identity, provider);
  const { accessKeyId, accessKeySecret, securityToken } = await provider.getCredentials();
  return {
    accessKeyId,
    secretAccessKey: accessKeySecret,
    ...(securityToken ? { sessionToken: securityToken } : {}),
    ...(identity === 'static keys' ? {} : { expiration: new Date(Date.now() + KEYS_MS) }),
  };
}

async function createProvider(identity: OssIdentity): Promise<Provider> {
  const library = await import('@alicloud/credentials');
  switch (identity) {
    case 'RRSA':
      return library.OIDCRoleArnCredentialsProvider.builder().withRoleSessionName('slipway').build();
    case 'ECS role':
      return library.ECSRAMRoleCredentialsProvider.builder().build();
    case 'static keys':
      return library.EnvironmentVariableCredentialsProvider.builder().build();
  }
}
