import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

const HELPER_MS = 30_000;

/**
 * What `docker login` has left for a registry: in its file, or with the helper that the file names. Undefined where nobody has
 * logged in.
 * @throws Error when the file cannot be read, or the helper fails
 */
export async function registryLogin(host: string): Promise<RegistryLogin | undefined> {
  const file = path.join(process.env['DOCKER_CONFIG'] || path.join(homedir(), '.docker'), 'config.json');
  const config = await readConfig(file);
  // Docker Hub is known by the address of its first version.
  const names = host === 'registry-1.docker.io' ? ['https://index.docker.io/v1/', host] : [host, `https://${host}`];
  const name = names.find((each) => Object.hasOwn(config.auths ?? {}, each)) ?? names[0]!;
  const helper =
    config.credHelpers && Object.hasOwn(config.credHelpers, host) ? config.credHelpers[host] : config.credsStore;
  if (helper !== undefined) return askHelper(helper, name);
  const entry = config.auths && Object.hasOwn(config.auths, name) ? config.auths[name] : undefined;
  if (entry?.identitytoken) return { username: '<token>', password: entry.identitytoken };
  if (!entry?.auth) return undefined;
  const text = Buffer.from(entry.auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

async function readConfig(file: string): Promise<DockerConfig> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  try {
    return (JSON.parse(text) ?? {}) as DockerConfig;
  } catch {
    throw new Error(`${file} is no JSON`);
  }
}

/** `docker-credential-<name> get`, which reads the registry and answers in JSON. */
async function askHelper(name: string, registry: string): Promise<RegistryLogin | undefined> {
  const program = `docker-credential-${name}`;
  if (!/^[\w.-]+$/.test(name)) throw new Error(`'${name}' is no name of a credential helper`);
  const helper = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], timeout: HELPER_MS });
  const chunks: Buffer[] = [];
  helper.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  helper.stdin.on('error', () => undefined);
  helper.stdin.end(registry);
  const [code] = (await once(helper, 'close').catch((error: Error) => {
    throw new Error(`${program} cannot be run: ${error.message}`);
  })) as [number | null];
  const text = Buffer.concat(chunks).toString('utf8');
  if (code !== 0) {
    if (/credentials not found/i.test(text)) return undefined;
    throw new Error(`${program} failed with status ${code}`);
  }
  const { Username, Secret } = JSON.parse(text) as { readonly Username?: string; readonly Secret?: string };
  return Username === undefined || Secret === undefined ? undefined : { username: Username, password: Secret };
}
