import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CACHE_FOLDER, CONTAINER_USER, CONTRACT, HEALTH_COMMAND, PORTS } from '../../runtime/spec/endpoints';

const CONTAINERS = path.resolve(__dirname, '../../containers');

/** The instructions of a Dockerfile's last stage, continued lines joined. */
function lastStage(dockerfile: string): string[] {
  const instructions = dockerfile
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '');
  return instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));
}

describe.each(['cpu', 'cuda'])('the %s Dockerfile', (variant) => {
  const dockerfile = readFileSync(path.join(CONTAINERS, variant, 'Dockerfile'), 'utf8');
  const stage = lastStage(dockerfile);

  test('writes no digest that nobody resolved', () => {
    expect(dockerfile).not.toMatch(/sha256:[0-9a-f]{8}/);
    expect(dockerfile).not.toMatch(/SHA256="?[0-9a-f]/);
  });

  test('takes its base as an argument, by default the official Node 24 slim tag', () => {
    expect(dockerfile).toMatch(/^ARG BASE_IMAGE=docker\.io\/library\/node:24-slim$/m);
  });

  test('runs nothing in its last stage: it needs no shell and no processor of the target', () => {
    expect(stage.filter((line) => /^(RUN|ONBUILD|SHELL|ADD)\b/.test(line))).toEqual([]);
    const command = JSON.stringify(HEALTH_COMMAND).replaceAll(',', ', ');
    expect(stage.find((line) => line.startsWith('HEALTHCHECK '))).toMatch(new RegExp(` CMD ${escape(command)}$`));
    expect(stage.at(-1)).toBe('ENTRYPOINT ["node", "/app/server.mjs"]');
  });

  test('declares what the contract says', () => {
    expect(stage).toContain(`USER ${CONTAINER_USER}:${CONTAINER_USER}`);
    expect(stage).toContain(`EXPOSE ${PORTS.http} ${PORTS.grpc} ${PORTS.metrics}`);
    expect(stage).toContain('STOPSIGNAL SIGTERM');
    expect(stage.find((line) => line.startsWith('LABEL '))).toContain(`dev.slipway.contract="${CONTRACT}"`);
    expect(stage.find((line) => line.startsWith('ENV '))).toContain('ORT_DISABLE_TELEMETRY=1');
  });

  test('has a folder of its user alone, whose owner a volume of models takes over', () => {
    expect(dockerfile).toContain(`RUN mkdir -p -m 0700 cache/${path.basename(CACHE_FOLDER)}\n`);
    const owner = `--chown=${CONTAINER_USER}:${CONTAINER_USER}`;
    expect(stage).toContain(`COPY --from=modules ${owner} /build/cache ${path.dirname(CACHE_FOLDER)}`);
  });

  test('runs no install script of a package', () => {
    const installs = dockerfile.match(/npm (ci|install|i)\b.*/g);
    expect(installs).toHaveLength(1);
    expect(installs?.[0]).toContain('--ignore-scripts');
  });

  test("installs the target's native packages, not those of the machine that builds", () => {
    const cpu = variant === 'cpu' ? '"${cpu}"' : 'x64';
    expect(dockerfile).toContain(` --os=linux --cpu=${cpu} --libc=glibc `);
  });
});

test('the lock file of the image names no registry, and the versions that the library is tested with', () => {
  const lock = readFileSync(path.join(CONTAINERS, 'image/package-lock.json'), 'utf8');
  expect(lock).not.toMatch(/https?:\/\/[^"]*\.tgz/);
  const { packages } = JSON.parse(lock) as { packages: Record<string, { version: string; integrity?: string }> };
  const { devDependencies } = JSON.parse(readFileSync(path.resolve(CONTAINERS, '../package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  for (const name of ['koffi', 'onnxruntime-node', 'sharp']) {
    expect(packages[`node_modules/${name}`]?.version, name).toBe(devDependencies[name]);
  }
  for (const cpu of ['x64', 'arm64']) {
    expect(Object.keys(packages)).toContain(`node_modules/@koromix/koffi-linux-${cpu}`);
    expect(Object.keys(packages)).toContain(`node_modules/@img/sharp-libvips-linux-${cpu}`);
  }
  for (const [name, { integrity }] of Object.entries(packages)) {
    if (name !== '') expect(integrity, name).toMatch(/^sha512-/);
  }
});

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
