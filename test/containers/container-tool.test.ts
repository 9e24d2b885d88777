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

test('takes docker first, and sees whether it has buildx', async () => {
  install('docker', 'test "$1" = version || test "$1" = buildx');
  install('podman', 'exit 0');
  expect(await findContainerTool()).toEqual({ name: 'docker', buildx: true });
  install('docker', 'test "$1" = version');
  expect(await findContainerTool()).toEqual({ name: 'docker', buildx: false });
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
