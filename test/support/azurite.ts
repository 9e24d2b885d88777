import { startEmulator, type Emulator } from '../../runtime/testing/emulator';
import type { LoopbackCertificate } from './loopback-certificate';

/** Azurite's own account, the same everywhere (https://learn.microsoft.com/azure/storage/common/storage-connect-azurite). */
export const AZURITE_ACCOUNT = 'devstoreaccount1';
export const AZURITE_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Starts Azure's blob emulator; `program` is the path of `azurite-blob`, `folder` where it may keep its files. With a
 * certificate it speaks TLS and takes the tokens of identities, whoever signed them.
 */
export function startAzurite(program: string, folder: string, tls?: LoopbackCertificate): Promise<Emulator> {
  return startEmulator(
    program,
    (port) => [
      ...['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', folder],
      ...['--silent', '--skipApiVersionCheck', '--disableTelemetry'],
      ...(tls === undefined ? [] : ['--oauth', 'basic', '--cert', tls.certificateFile, '--key', tls.keyFile]),
    ],
    '/',
    tls === undefined ? 'http' : 'https',
  );
}

export function azuriteConnection(port: number): string {
  const endpoint = `http://127.0.0.1:${port}/${AZURITE_ACCOUNT}`;
  return `DefaultEndpointsProtocol=http;AccountName=${AZURITE_ACCOUNT};AccountKey=${AZURITE_KEY};BlobEndpoint=${endpoint};`;
}
