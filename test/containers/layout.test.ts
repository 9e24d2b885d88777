import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { containerContext, IMAGE_VARIANTS } from '../../runtime/image';
import { install, packSlipway } from '../package/packed-package';

const ROOT = path.resolve(__dirname, '../..');

interface Layout {
  readonly PROGRAMS: readonly string[];
  readonly layOutImageContexts: (distDirectory: string) => { cpu: string; cuda: string };
}
const layout = import(pathToFileURL(path.join(ROOT, 'containers/layout.mjs')).href) as Promise<Layout>;

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'slipway-layout-'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

describe('laying out the image contexts', () => {
  async function layOut(): Promise<{ cpu: string; cuda: string }> {
    for (const name of (await layout).PROGRAMS) writeFileSync(path.join(scratch, name), 'export {};\n');
    mkdirSync(path.join(scratch, 'server-chunks'), { recursive: true });
    writeFileSync(path.join(scratch, 'server-chunks', 's3-1A2B.mjs'), 'export {};\n');
    writeFileSync(path.join(scratch, 'THIRD-PARTY-NOTICES.md'), 'notices\n');
    chmodSync(path.join(scratch, 'server.mjs'), 0o600);
    return (await layout).layOutImageContexts(scratch);
  }

  test('each context holds everything that its Dockerfile copies', async () => {
    for (const context of Object.values(await layOut())) {
      const dockerfile = readFileSync(path.join(context, 'Dockerfile'), 'utf8');
      for (const [, sources = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
        for (const source of sources.split(' ')) expect(existsSync(path.join(context, source)), source).toBe(true);
      }
    }
  });

  test('each Dockerfile copies every program of its context', async () => {
    for (const context of Object.values(await layOut())) {
      const dockerfile = readFileSync(path.join(context, 'Dockerfile'), 'utf8');
      const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources]) =>
        sources!.split(' '),
      );
      for (const file of readdirSync(context).filter((name) => name !== 'Dockerfile')) expect(copied).toContain(file);
    }
  });

  test('the same sources give the same bytes and modes, and nothing of an earlier layout stays', async () => {
    const first = await layOut();
    const before = fingerprint(first.cpu);
    writeFileSync(path.join(first.cpu, 'left-over.mjs'), '');
    expect(fingerprint((await layOut()).cpu)).toEqual(before);
    expect(before.map(({ mode }) => mode)).toEqual(before.map(() => 0o644));
  });

  test('the image is labelled with the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const dockerfile = readFileSync(path.join((await layOut()).cuda, 'Dockerfile'), 'utf8');
    expect(dockerfile).toContain(`\nARG SLIPWAY_VERSION=${version}\n`);
  });

  test('the programs of an image find in it every file of ours that they import', () => {
    const context = path.join(ROOT, 'dist/image/cpu');
    const programs = ['', 'server-chunks'].flatMap((folder) =>
      readdirSync(path.join(context, folder))
        .filter((name) => name.endsWith('.mjs'))
        .map((name) => path.join(folder, name)),
    );
    expect(programs).toContain('cli.mjs');
    const imported = programs.flatMap((program) => {
      const text = readFileSync(path.join(context, program), 'utf8');
      const names = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[\w./-]+\.mjs)"/g)];
      return names.map(([, name]) => path.join(path.dirname(program), name!));
    });
    expect(imported.length).toBeGreaterThan(20);
    expect([...new Set(imported)].filter((file) => !existsSync(path.join(context, file)))).toEqual([]);
  });

  test('without the server bundle it says which file is missing', async () => {
    const { layOutImageContexts } = await layout;
    expect(() => layOutImageContexts(scratch)).toThrow(`${path.join(scratch, 'server.mjs')} is missing`);
  });
});

test('the tarball of the package brings both contexts, byte for byte', (ctx) => {
  const project = path.join(scratch, 'project');
  mkdirSync(project);
  const unreachable = install(project, [packSlipway(scratch).tarball]);
  if (unreachable !== undefined) ctx.skip(unreachable);
  for (const variant of IMAGE_VARIANTS) {
    const packed = fingerprint(path.join(project, 'node_modules', 'slipway', 'dist', 'image', variant));
    expect(packed.map(({ file }) => file)).toContain('package-lock.json');
    expect(packed).toEqual(fingerprint(containerContext(variant)));
  }
});

function fingerprint(directory: string): { file: string; mode: number; sha256: string }[] {
  return (readdirSync(directory, { recursive: true }) as string[])
    .filter((file) => statSync(path.join(directory, file)).isFile())
    .sort()
    .map((file) => ({
      file,
      mode: statSync(path.join(directory, file)).mode & 0o777,
      sha256: createHash('sha256')
        .update(readFileSync(path.join(directory, file)))
        .digest('hex'),
    }));
}
