import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from './model-repository';

export interface Certificate {
  /** PEM files. */
  readonly cert: string;
  readonly key: string;
}

/** An authority that lasts as long as the test. Its keys are elliptic: they are made in milliseconds. */
export class Authority {
  readonly folder = temporaryFolder();
  readonly cert: string;
  private readonly key: string;
  private count = 0;

  constructor(private readonly openssl: string) {
    this.cert = path.join(this.folder, 'ca.pem');
    this.key = path.join(this.folder, 'ca.key');
    this.run(
      'req',
      '-x509',
      ...EC,
      '-keyout',
      this.key,
      '-out',
      this.cert,
      '-days',
      '2',
      '-subj',
      '/CN=test authority',
    );
  }

  issue(commonName: string): Certificate {
    this.count += 1;
    const file = (extension: string): string => path.join(this.folder, `${this.count}.${extension}`);
    const [key, request, cert, extensions] = [file('key'), file('csr'), file('pem'), file('ext')];
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    this.run('req', '-new', ...EC, '-keyout', key, '-out', request, '-subj', `/O=tests/CN=${commonName}`);
    const authority = ['-CA', this.cert, '-CAkey', this.key, '-CAcreateserial'];
    this.run('x509', '-req', '-in', request, ...authority, '-out', cert, '-days', '2', '-extfile', extensions);
    return { cert, key };
  }

  private run(...commands: string[]): void {
    execFileSync(this.openssl, commands, { stdio: 'pipe', timeout: 30_000 });
  }
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
