import { createHash } from 'node:crypto';
import type { ContainerTool } from './container-tool';
import { ImageError } from './image-error';
import { runCommand, type Command } from './run-command';

const TIMEOUT_SECONDS = 60;
const MAX_MANIFEST_BYTES = 4 * 1_048_576;
const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/**
 * The digest that a tag has now, for all platforms together: of the index, where there is one.
 *
 * docker buildx and skopeo can tell; both know the machine's logins and mirrors, and neither needs an engine.
 * `podman pull` and `buildah pull` cannot (they report the digest of one platform's image), so where neither is there
 * the registry itself is asked.
 * @param tool whose side to ask alone: docker's, or that of podman and buildah. @default - both, docker first
 * @throws ImageError DIGEST_UNKNOWN when nobody can tell, with what each said.
 */
export async function resolveDigest(image: string, tool?: ContainerTool): Promise<string> {
  const said: string[] = [];
  for (const command of digestCommands(image, tool)) {
    try {
      const digest = parseDigest(await runCommand(command, { timeoutSeconds: TIMEOUT_SECONDS }));
      if (digest !== undefined) return digest;
      said.push(`${command.program} printed no digest`);
    } catch (error) {
      if (!ImageError.is(error)) throw error;
      // The exit code, then what the program wrote: its first line is the reason, the rest is help.
      const [ending, reason] = error.reason.split('\n');
      said.push(`${command.program}: ${reason ?? ending}`);
    }
  }
  try {
    return await askRegistry(image);
  } catch (error) {
    said.push(`the registry itself: ${(error as Error).message}`);
  }
  throw new ImageError('DIGEST_UNKNOWN', image, `nobody could tell its digest (${said.join('; ')})`);
}

/** The programs that read a digest without pulling. */
export function digestCommands(image: string, tool?: ContainerTool): readonly Command[] {
  const docker = {
    program: 'docker',
    args: ['buildx', 'imagetools', 'inspect', '--format', '{{json .Manifest}}', image],
  };
  const skopeo = { program: 'skopeo', args: ['inspect', '--no-tags', '--format', '{{.Digest}}', `docker://${image}`] };
  if (tool === undefined) return [docker, skopeo];
  return tool.name === 'docker' ? [docker] : [skopeo];
}

function parseDigest(output: string): string | undefined {
  const text = output.trimStart().startsWith('{')
    ? String((JSON.parse(output) as { digest?: unknown }).digest)
    : output.trim();
  return /^sha256:[0-9a-f]{64}$/.exec(text)?.[0];
}

/** One anonymous read of the OCI distribution API. The digest is computed from the manifest's bytes, not believed. */
async function askRegistry(image: string): Promise<string> {
  const { url, scope } = manifestUrl(image);
  const signal = AbortSignal.timeout(TIMEOUT_SECONDS * 1_000);
  const headers = { accept: MANIFEST_TYPES.join(', ') };
  let response = await get(url, { headers, signal });
  if (response.status === 401) {
    const token = await anonymousToken(response.headers.get('www-authenticate') ?? '', scope, signal);
    response = await get(url, { headers: { ...headers, authorization: `Bearer ${token}` }, signal });
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  if (bytes.length > MAX_MANIFEST_BYTES)
    throw new Error(`${url} answered ${bytes.length} bytes, no manifest is that large`);
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function get(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    // fetch says 'fetch failed' and keeps what happened in the cause.
    const { cause } = error as Error;
    throw new Error(`${url}: ${cause instanceof Error ? cause.message : (error as Error).message}`);
  }
}

async function anonymousToken(challenge: string, scope: string, signal: AbortSignal): Promise<string> {
  const parameter = (name: string): string | undefined => new RegExp(`${name}="([^"]*)"`, 'i').exec(challenge)?.[1];
  const realm = parameter('realm');
  if (!/^bearer /i.test(challenge) || realm === undefined) throw new Error(`asks for a login: '${challenge}'`);
  const url = new URL(realm);
  const service = parameter('service');
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.set('scope', scope);
  const response = await get(url.href, { signal });
  if (!response.ok) throw new Error(`${url.origin} gave no anonymous token: ${response.status}`);
  const body = (await response.json()) as { token?: string; access_token?: string };
  const token = body.token ?? body.access_token;
  if (token === undefined) throw new Error(`${url.origin} gave no anonymous token`);
  return token;
}

/** Names as docker reads them: no host means Docker Hub, and there a single word is an official image. */
function manifestUrl(image: string): { url: string; scope: string } {
  const [, name = '', tag = 'latest'] = /^(.+?)(?::([^/:]+))?$/.exec(image) ?? [];
  const first = name.split('/')[0] ?? '';
  const hasHost = name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  const host = hasHost ? first : 'docker.io';
  const path = hasHost ? name.slice(first.length + 1) : name;
  const hub = host === 'docker.io';
  const repository = hub && !path.includes('/') ? `library/${path}` : path;
  const origin = hub ? 'https://registry-1.docker.io' : `${isLoopback(host) ? 'http' : 'https'}://${host}`;
  return { url: `${origin}/v2/${repository}/manifests/${tag}`, scope: `repository:${repository}:pull` };
}

// Docker too talks plain HTTP to a registry on this machine.
function isLoopback(host: string): boolean {
  return /^(localhost|127\.[0-9.]+)(:[0-9]+)?$/.test(host);
}
