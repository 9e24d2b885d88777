import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { ENVIRONMENT, type ServerSettings } from '../spec/environment';
import { SpecError } from '../spec/errors';
import { WatchedFiles } from './watched-files';

type TlsSettings = Pick<ServerSettings, 'tlsCertificate' | 'tlsKey' | 'tlsClientCa'>;

/** What `https.createServer` and `http2.createSecureServer` take. */
export interface TlsServerOptions extends SecureContextOptions {
  readonly minVersion: 'TLSv1.2';
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly handshakeTimeout: number;
}

/** A server that can be given another certificate while it listens. */
interface SecureServer {
  setSecureContext(options: SecureContextOptions): void;
}

const HANDSHAKE_MS = 10_000;

/**
 * The certificate of the server and, for mTLS, the authorities of its clients, as they lie in files. A pair that was
 * renewed is used from the next connection on; one that does not fit together is refused, and the old one stays.
 */
export class TlsFiles {
  private context: SecureContextOptions;
  private readonly servers: SecureServer[] = [];
  private watched: WatchedFiles | undefined;

  private constructor(
    private readonly paths: { readonly cert: string; readonly key: string; readonly ca: string | undefined },
    private readonly log: Logger,
  ) {
    this.context = this.read();
  }

  /**
   * @returns undefined when no certificate is configured: the server speaks plain HTTP.
   * @throws SpecError ENVIRONMENT_INVALID
   */
  static open(settings: TlsSettings, log: Logger): TlsFiles | undefined {
    const { tlsCertificate: cert, tlsKey: key, tlsClientCa: ca } = settings;
    if (cert === undefined && key === undefined && ca === undefined) return undefined;
    if (cert === undefined) throw invalid('tlsCertificate', `must be set together with ${ENVIRONMENT.tlsKey.variable}`);
    if (key === undefined) throw invalid('tlsKey', `must be set together with ${ENVIRONMENT.tlsCertificate.variable}`);
    return new TlsFiles({ cert, key, ca }, log);
  }

  /**
   * A client without a certificate is let into the connection, because probes have none; the routes refuse it
   * (`certificateNameOf`).
   */
  get serverOptions(): TlsServerOptions {
    return {
      ...this.context,
      minVersion: 'TLSv1.2',
      requestCert: this.paths.ca !== undefined,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
    };
  }

  /** Gives the server every certificate that comes from now on. */
  keepCurrent(server: SecureServer): void {
    this.servers.push(server);
  }

  /** Looks at the files from now on. @param pollMs How often. @default 5,000 */
  async watch(pollMs?: number): Promise<void> {
    const { cert, key, ca } = this.paths;
    const paths = ca === undefined ? [cert, key] : [cert, key, ca];
    this.watched = await WatchedFiles.start({ paths, reload: () => this.reload(), log: this.log, pollMs });
  }

  close(): void {
    this.watched?.stop();
  }

  private reload(): void {
    this.context = this.read();
    for (const server of this.servers) server.setSecureContext({ ...this.context, minVersion: 'TLSv1.2' });
  }

  private read(): SecureContextOptions {
    const { cert, key, ca } = this.paths;
    const context = {
      cert: readPem('tlsCertificate', cert),
      key: readPem('tlsKey', key),
      ...(ca === undefined ? {} : { ca: readPem('tlsClientCa', ca) }),
    };
    try {
      createSecureContext(context);
    } catch (error) {
      throw invalid('tlsCertificate', `${cert} and ${key} are no certificate and key that fit: ${reasonOf(error)}`);
    }
    const { subject, validTo } = new X509Certificate(context.cert);
    this.log.info({ subject, validTo }, 'certificate read');
    return context;
  }
}

/**
 * The common name of the client's certificate, when it is one of a trusted authority; its whole subject when it has no
 * common name. A connection is asked once.
 */
export function certificateNameOf(socket: Duplex): string | undefined {
  // Not `in`: HTTP/2 gives a proxy of the socket, which has its properties without listing them.
  if ((socket as Partial<TLSSocket>).encrypted !== true) return undefined;
  const known = names.get(socket);
  if (known !== undefined) return known.name;
  const name = readName(socket as TLSSocket);
  names.set(socket, { name });
  return name;
}

const names = new WeakMap<Duplex, { readonly name: string | undefined }>();

function readName(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  return /^CN=(.+)$/m.exec(certificate.subject)?.[1] ?? (certificate.subject.replaceAll('\n', ', ') || undefined);
}

function readPem(setting: keyof TlsSettings, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw invalid(setting, `cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`);
  }
}

function reasonOf(error: unknown): string {
  return (error as { reason?: string }).reason ?? (error as Error).message;
}

function invalid(setting: keyof TlsSettings, message: string): SpecError {
  return new SpecError('ENVIRONMENT_INVALID', ENVIRONMENT[setting].variable, message);
}
