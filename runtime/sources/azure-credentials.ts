import type { TokenCredential } from '@azure/identity' with { 'resolution-mode': 'import' };
import type { StorageSharedKeyCredential } from '@azure/storage-blob' with { 'resolution-mode': 'import' };
import type { Variables } from './cloud-variables';
import { httpRequest } from './http-request';

export type AzureIdentity =
  | 'workload identity'
  | 'managed identity'
  | 'connection string'
  | 'shared access signature'
  | 'account key'
  | 'default';

/**
 * What may open a storage account, in this order: the federated token that AKS's workload identity webhook mounts, the
 * managed identity of the platform or the machine, static keys. Where there is none of these, what Azure's library finds by
 * default, a developer's login among it. Variables as that library and the `az` command name them.
 */
export function azureIdentities(account: string, variables: Variables): readonly AzureIdentity[] {
  const has = (...names: readonly string[]): boolean => names.every((name) => (variables[name] ?? '') !== '');
  const keys: AzureIdentity[] = [];
  if (connectionStringAccount(variables['AZURE_STORAGE_CONNECTION_STRING']) === account) keys.push('connection string');
  // A key or a signature without an account is for the one that the models lie in.
  if ((variables['AZURE_STORAGE_ACCOUNT'] || account) === account) {
    if (has('AZURE_STORAGE_SAS_TOKEN')) keys.push('shared access signature');
    if (has('AZURE_STORAGE_KEY')) keys.push('account key');
  }
  // An emulator knows no identities.
  if (keys[0] === 'connection string' && isForeign(variables['AZURE_STORAGE_CONNECTION_STRING']!))
    return keys.slice(0, 1);
  const federated = has('AZURE_FEDERATED_TOKEN_FILE', 'AZURE_CLIENT_ID', 'AZURE_TENANT_ID');
  return [
    ...(federated ? (['workload identity'] as const) : []),
    'managed identity',
    ...(keys.length > 0 ? keys : (['default'] as const)),
  ];
}

function connectionStringAccount(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  return /(?:^|;)UseDevelopmentStorage=true/i.test(text) ? 'devstoreaccount1' : field(text, 'AccountName');
}

/** Whether a connection string names another address than Azure's. */
function isForeign(text: string): boolean {
  const endpoint = field(text, 'BlobEndpoint');
  return (
    /UseDevelopmentStorage=true/i.test(text) || (endpoint !== undefined && !/\.blob\.(core|storage)\./.test(endpoint))
  );
}

function field(text: string, name: string): string | undefined {
  return new RegExp(`(?:^|;)${name}=([^;]*)`, 'i').exec(text)?.[1];
}

/** How a client of the account is made. */
export type AzureAccess =
  | { readonly connectionString: string }
  | { readonly signature: string }
  | { readonly credential: TokenCredential | StorageSharedKeyCredential };

const SCOPE = 'https://storage.azure.com/.default';

/**
 * The first identity that has something to show.
 * @throws Error with the reason of each identity when none has.
 */
export async function azureAccess(account: string, variables: Variables): Promise<AzureAccess> {
  const reasons: string[] = [];
  for (const identity of azureIdentities(account, variables)) {
    try {
      return await accessOf(identity, account, variables);
    } catch (error) {
      reasons.push(`${identity}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  throw new Error(`no Azure credentials: ${reasons.join('; ')}`);
}

async function accessOf(identity: AzureIdentity, account: string, variables: Variables): Promise<AzureAccess> {
  switch (identity) {
    case 'workload identity':
      return proven(new (await import('@azure/identity')).WorkloadIdentityCredential());
    case 'managed identity': {
      await assertManagedIdentity(variables);
      const { ManagedIdentityCredential } = await import('@azure/identity');
      const clientId = variables['AZURE_CLIENT_ID'];
      return proven(clientId ? new ManagedIdentityCredential({ clientId }) : new ManagedIdentityCredential());
    }
    case 'connection string':
      return { connectionString: variables['AZURE_STORAGE_CONNECTION_STRING']! };
    case 'shared access signature':
      return { signature: variables['AZURE_STORAGE_SAS_TOKEN']!.replace(/^\?/, '') };
    case 'account key': {
      const { StorageSharedKeyCredential } = await import('@azure/storage-blob');
      return { credential: new StorageSharedKeyCredential(account, variables['AZURE_STORAGE_KEY']!) };
    }
    case 'default':
      return proven(new (await import('@azure/identity')).DefaultAzureCredential());
  }
}

async function proven(credential: TokenCredential): Promise<AzureAccess> {
  await credential.getToken(SCOPE);
  return { credential };
}

/** Named by App Service, Container Apps and Azure Arc; on a machine and on AKS the metadata service has it. */
const IDENTITY_ENDPOINTS = ['IDENTITY_ENDPOINT', 'MSI_ENDPOINT'];
const METADATA_URL = 'http://169.254.169.254/metadata/identity/oauth2/token';
const METADATA_TIMEOUT_MS = 1_000;

/** Without this, a machine outside of Azure would wait long: the library asks the metadata service again and again. */
async function assertManagedIdentity(variables: Variables): Promise<void> {
  if (IDENTITY_ENDPOINTS.some((name) => (variables[name] ?? '') !== '')) return;
  const signal = AbortSignal.timeout(METADATA_TIMEOUT_MS);
  // Refused for want of a header, but answered.
  const response = await httpRequest(new URL(METADATA_URL), signal, { timeoutMs: METADATA_TIMEOUT_MS }).catch(() => {
    throw new Error('the metadata service does not answer');
  });
  response.destroy();
}
