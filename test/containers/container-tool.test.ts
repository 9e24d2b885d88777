import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findContainerTool } from '../../runtime/image';

let bin: string;
beforeEach(() => {
  bin = mkdtempSync(path.join(tmpdir(), 'slipway-bin-'));
  vi.stubEnv('PATH', bin);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(bin, { recursive: true });
});

/** A program on the PATH that answers as the real one does in the situation named. */
function install(name: string, script: string): void {
  const file = path.join(bin, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

const ENGINE_DOWN = 'echo "Client: 27.0"; echo "Cannot connect to the Docker daemon" >&2; exit 1';

const ENGINE_UP = 'case "$1" in version) echo "27.0.1 27.0.1";; buildx) exit 0;; *) exit 1;; esac';
const ENGINE_UP_WITHOUT_BUILDX = (version: string): string =>
  `case "$1" in version) echo "${version} 27.0.1";; *) echo "unknown command" >&2; exit 1;; esac`;

test('takes docker first, and sees whether it has buildx', async () => {
  install('docker', ENGINE_UP);
  install('podman', 'exit 0');
  expect(await findContainerTool()).toEqual({ name: 'docker', buildx: true });
  install('docker', ENGINE_UP_WITHOUT_BUILDX('20.10.24'));
  expect(await findContainerTool()).toEqual({ name: 'docker', buildx: false });
});

test('a docker from 23 on without buildx cannot build and does not count', async () => {
  install('docker', ENGINE_UP_WITHOUT_BUILDX('28.2.2'));
  await expect(findContainerTool()).rejects.toThrow(
    '(docker: its buildx plugin is missing, and this docker builds with',
  );
  install('buildah', 'exit 0');
  expect(await findContainerTool()).toEqual({ name: 'buildah', buildx: false });
});

test('a docker client without an engine does not count', async () => {
  install('docker', ENGINE_DOWN);
  install('podman', 'exit 0');
  expect(await findContainerTool()).toEqual({ name: 'podman', buildx: false });
});

test('takes buildah when it is the only one', async () => {
  install('buildah', 'exit 0');
  expect(await findContainerTool()).toEqual({ name: 'buildah', buildx: false });
});

test('without any of them the error says what each one said', async () => {
  install('docker', ENGINE_DOWN);
  await expect(findContainerTool()).rejects.toThrow(
    'NO_CONTAINER_TOOL docker, podman, buildah: none works here (docker: Cannot connect to the Docker daemon; ' +
      'podman: is not on the PATH; buildah: is not on the PATH); install one of them, or start its engine',
  );
});

test('looks for the named tool alone', async () => {
  install('docker', 'exit 0');
  await expect(findContainerTool('podman')).rejects.toThrow('podman: is not on the PATH');
});
