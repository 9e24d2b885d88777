import type * as S3 from '@aws-sdk/client-s3';
import { SourceError } from './model-source';
import { cloudVariables, type Variables } from './cloud-variables';
import { cosIdentities, cosKeys } from './cos-credentials';
import { credentialChain } from './credential-chain';
import { S3_REQUEST_HANDLER, s3CompatibleSource } from './s3-compatible-source';
import { storeEndpoint } from './store-endpoint';

/**
 * Objects in Tencent Cloud COS, at `cos://<bucket>-<appid>/<key>`, through its S3-compatible endpoint
 * `https://cos.<region>.myqcloud.com` (https://www.tencentcloud.com/document/product/436/32537).
 * The region is `COS_REGION`, `TENCENTCLOUD_REGION` or the `TKE_REGION` that a pod of TKE has; `COS_ENDPOINT` names another
 * address.
 */
export const cosSource = s3CompatibleSource('cos', ({ S3Client }) => new S3Client(cosClientOptions(cloudVariables())));

/** @throws SourceError without region and endpoint */
export function cosClientOptions(variables: Variables): S3.S3ClientConfig {
  const named = storeEndpoint(variables['COS_ENDPOINT'], 'COS_ENDPOINT');
  const region =
    variables['COS_REGION'] ||
    variables['TENCENTCLOUD_REGION'] ||
    variables['TKE_REGION'] ||
    /^cos\.([a-z0-9-]+)\./.exec(named?.url.hostname ?? '')?.[1];
  if (named === undefined && region === undefined) {
    throw new SourceError('permanent', 'cos:// needs a region: set COS_REGION, as in ap-guangzhou, or COS_ENDPOINT');
  }
  const isEmulator = named?.isLocal ?? false;
  return {
    endpoint: named?.url.origin ?? `https://cos.${region}.myqcloud.com`,
    region: region ?? 'us-east-1',
    forcePathStyle: isEmulator,
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: S3_REQUEST_HANDLER,
    credentials: credentialChain(cosIdentities(variables, isEmulator), (identity) => cosKeys(identity, variables)),
  };
}
