import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ModelToolError } from '../../runtime/model/tool-error';
import { writeOutput, writeOutputFolder } from '../../runtime/model/write-output';
import { emptyFolder } from '../support/written-files';

const TSX = join('node_modules', '.bin', 'tsx');

async function failure(work: Promise<unknown>): Promise<ModelToolError> {
  const error: unknown = await work.then(
    () => new Error('it worked'),
    (reason: unknown) => reason,
  );
  if (!ModelToolError.is(error)) throw error;
  return error;
}

describe('an output file', () => {
  test('appears under its name with what lies beside it, and nothing else is left', async () => {
    const file = join(emptyFolder(), 'new', 'small.onnx');
    const result = await writeOutput(file, {}, async (folder) => {
      expect(existsSync(file)).toBe(false);
      await writeFile(join(folder, 'small.onnx'), 'model');
      await writeFile(join(folder, 'small.onnx.data'), 'weights');
      return 42;
    });
    expect(result).toBe(42);
    expect(readdirSync(join(file, '..')).sort()).toEqual(['small.onnx', 'small.onnx.data']);
    expect(readFileSync(file, 'utf8')).toBe('model');
  });

  test('is refused before any work when it is there, unless it may be replaced', async () => {
    const file = join(emptyFolder(), 'small.onnx');
    writeFileSync(file, 'old');
    let began = false;
    const write = async (folder: string) => {
      began = true;
      await writeFile(join(folder, 'small.onnx'), 'new');
    };
    const error = await failure(writeOutput(file, {}, write));
    expect(error.message).toBe(
      `OUTPUT_EXISTS ${file}: is there already: give another name, or --overwrite to replace it`,
    );
    expect(began).toBe(false);
    await writeOutput(file, { overwrite: true }, write);
    expect(readFileSync(file, 'utf8')).toBe('new');
  });

  test('takes the place of no folder, and of nobody else’s file beside it', async () => {
    const folder = emptyFolder();
    mkdirSync(join(folder, 'small.onnx'));
    const overwrite = { overwrite: true };
    expect((await failure(writeOutput(join(folder, 'small.onnx'), overwrite, async () => {}))).code).toBe(
      'OUTPUT_EXISTS',
    );
    writeFileSync(join(folder, 'other.onnx.data'), 'not ours');
    const error = await failure(
      writeOutput(join(folder, 'other.onnx'), {}, async (temporary) => {
        await writeFile(join(temporary, 'other.onnx'), 'model');
        await writeFile(join(temporary, 'other.onnx.data'), 'weights');
      }),
    );
    expect(error.where).toBe(join(folder, 'other.onnx.data'));
    expect(readdirSync(folder).sort()).toEqual(['other.onnx.data', 'small.onnx']);
  });

  test('leaves nothing, and what was there, when the work fails', async () => {
    const file = join(emptyFolder(), 'small.onnx');
    writeFileSync(file, 'old');
    const work = writeOutput(file, { overwrite: true }, async (folder) => {
      await writeFile(join(folder, 'small.onnx'), 'half');
      throw new Error('the tolerance said no');
    });
    await expect(work).rejects.toThrow('the tolerance said no');
    expect(readdirSync(join(file, '..'))).toEqual(['small.onnx']);
    expect(readFileSync(file, 'utf8')).toBe('old');
  });

  test('that the disk has no room for is a failure from outside, in one sentence', async () => {
    const file = join(emptyFolder(), 'small.onnx');
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const error = await failure(writeOutput(file, {}, () => Promise.reject(full)));
    expect(error.message).toBe(`OUTPUT_UNWRITABLE ${file}: cannot be written: ENOSPC: no space left on device, write`);
    expect(error.kind).toBe('outside');
    expect(readdirSync(join(file, '..'))).toEqual([]);
  });

  test('in a place where no folder can be is refused before any work', async () => {
    const blocker = join(emptyFolder(), 'a-file');
    writeFileSync(blocker, '');
    const error = await failure(writeOutput(join(blocker, 'small.onnx'), {}, () => Promise.reject(new Error('began'))));
    expect(error.code).toBe('OUTPUT_UNWRITABLE');
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('leaves nothing when the process gets %s', async (signal) => {
    const folder = emptyFolder();
    const program = join(folder, 'program.ts');
    writeFileSync(
      program,
      `import { writeOutput } from ${JSON.stringify(join(process.cwd(), 'runtime/model/write-output'))};
       import { writeFileSync } from 'node:fs';
       import { join } from 'node:path';
       void writeOutput(${JSON.stringify(join(folder, 'out', 'small.onnx'))}, {}, async (unfinished) => {
         writeFileSync(join(unfinished, 'small.onnx'), 'half');
         console.log('writing');
         await new Promise((resolve) => setTimeout(resolve, 60_000));
       });`,
    );
    const child = spawn(TSX, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    expect(readdirSync(join(folder, 'out'))).toHaveLength(1);
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    expect(readdirSync(join(folder, 'out'))).toEqual([]);
  });
});

describe('an output folder', () => {
  const fill = async (folder: string) => {
    mkdirSync(join(folder, 'deep'));
    await writeFile(join(folder, 'deep', 'file'), 'new');
  };

  test('appears whole, and takes the place of another only when told to', async () => {
    const target = join(emptyFolder(), 'compiled');
    await writeOutputFolder(target, {}, fill);
    expect(readFileSync(join(target, 'deep', 'file'), 'utf8')).toBe('new');
    expect((await failure(writeOutputFolder(target, {}, fill))).code).toBe('OUTPUT_EXISTS');
    writeFileSync(join(target, 'old'), '');
    await writeOutputFolder(target, { overwrite: true }, fill);
    expect(readdirSync(target)).toEqual(['deep']);
    expect(readdirSync(join(target, '..'))).toEqual(['compiled']);
  });

  test('stays as it was when the work fails', async () => {
    const target = join(emptyFolder(), 'compiled');
    await writeOutputFolder(target, {}, fill);
    await expect(
      writeOutputFolder(target, { overwrite: true }, () => Promise.reject(new Error('no'))),
    ).rejects.toThrow();
    expect(readdirSync(target)).toEqual(['deep']);
    expect(readdirSync(join(target, '..'))).toEqual(['compiled']);
  });
});
