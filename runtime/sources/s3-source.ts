import type * as S3 from '@aws-sdk/client-s3';
import { cloudVariables, type Variables } from './cloud-variables';
import { S3_REQUEST_HANDLER, s3CompatibleSource } from './s3-compatible-source';

/**
 * Objects in S3, or in any store that speaks its protocol at `AWS_ENDPOINT_URL_S3`. Region, credentials and endpoint are
 * the AWS SDK's own: profile, role of the task, the pod or the machine. Reading needs `s3:GetObject` only; listing, which
 * serving a whole repository by hand does, `s3:ListBucket`.
 */
export const s3Source = s3CompatibleSource('s3', (sdk) => connectS3(sdk));

/** The client that the identity and the endpoint of this process make. */
export async function connectS3(
  { S3Client }: typeof S3,
  special: Pick<S3.S3ClientConfig, 'maxAttempts'> = {},
): Promise<S3.S3Client> {
  const variables = cloudVariables();
  const credentials = await workloadIdentity(variables);
  const options: S3.S3ClientConfig = {
    // Stores other than Amazon's rarely have a host name per bucket.
    forcePathStyle: hasOwnEndpoint(variables),
    // The models of one server may lie in buckets of several regions.
    followRegionRedirects: true,
    requestHandler: S3_REQUEST_HANDLER,
    ...special,
    ...(credentials === undefined ? {} : { credentials }),
  };
  const client = new S3Client(options);
  const isRegionNamed = await client.config.region().then(
    () => true,
    () => false,
  );
  // A pod is told no region unless its identity brings one; this region's S3 knows where every bucket is.
  return isRegionNamed ? client : new S3Client({ ...options, region: 'us-east-1' });
}

function hasOwnEndpoint(variables: Variables): boolean {
  return (variables['AWS_ENDPOINT_URL_S3'] ?? variables['AWS_ENDPOINT_URL'] ?? '') !== '';
}

/** Which identity the platform gave this very workload: a token file (IRSA), or an endpoint (ECS task role, EKS Pod Identity). */
export type S3Identity = 'token-file' | 'endpoint' | 'chain';

/**
 * The identity to use. The SDK's own chain looks for static keys in the environment before the identities that ECS and EKS
 * give to a workload; these come first here. For everything else the chain stands.
 */
export function s3Identity(variables: Variables): S3Identity {
  if (variables['AWS_WEB_IDENTITY_TOKEN_FILE'] && variables['AWS_ROLE_ARN']) return 'token-file';
  const endpoint =
    variables['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] ?? variables['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  return endpoint ? 'endpoint' : 'chain';
}

async function workloadIdentity(variables: Variables): Promise<S3.S3ClientConfig['credentials'] | undefined> {
  const identity = s3Identity(variables);
  switch (identity) {
    case 'token-file':
      return (await import('@aws-sdk/credential-provider-web-identity')).fromTokenFile();
    case 'endpoint':
      return (await import('@aws-sdk/credential-provider-http')).fromHttp();
    case 'chain':
      return undefined;
  }
}
