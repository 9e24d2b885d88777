import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { PreprocessError } from '../../runtime/preprocess/preprocess-error';
import { Preprocessor, type UserRow } from '../../runtime/preprocess/preprocessor';
import { TextTokenizer } from '../../runtime/preprocess/tokenizer';
import type { TensorSignature } from '../../runtime/spec/model-facts';
import type { Preprocessing } from '../../runtime/spec/preprocessing';
import { pythonWith } from '../support/python';

const FOLDER = path.join(__dirname, '../fixtures/tokenizers');
const read = (name: string): Buffer => readFileSync(path.join(FOLDER, `${name}.json`));

interface Expected {
  readonly maxLength: number;
  readonly text: string;
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

const message = async (work: () => unknown): Promise<string> => {
  try {
    await work();
  } catch (error) {
    if (PreprocessError.is(error)) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('text', () => {
  // expected.json is what the Python package tokenizers 0.23 made of the same files and texts.
  const expected = JSON.parse(read('expected').toString('utf8')) as Record<string, readonly Expected[]>;
  test.each(['wordpiece', 'bpe'])('becomes the ids of the Python package, cut to any length: %s', async (name) => {
    for (const { maxLength, text, ids, types } of expected[name]!) {
      const tokenizer = await TextTokenizer.open(read(name), { tokenizer: `${name}.json`, maxLength });
      expect(tokenizer.encode(text), `${maxLength} ${text}`).toMatchObject({ ids, types });
    }
  });

  test('becomes what the Python package makes of it, at random', (ctx) => {
    const python = pythonWith('tokenizers');
    if (python === undefined) return ctx.skip('no python3 with tokenizers on the PATH');
    const words = ['fox', 'Straße', 'naïve', '3.5', '☃', '漢字', '[SEP]', '</s>', ' ', '\n', '...', "don't", '😀', 'İ'];
    let seed = 7;
    const next = (): number => (seed = (seed * 48_271) % 2_147_483_647);
    const texts = Array.from({ length: 200 }, () =>
      Array.from({ length: next() % 20 }, () => words[next() % words.length]!).join(next() % 2 === 0 ? ' ' : ''),
    );
    const script = `import json, sys
from tokenizers import Tokenizer
folder, texts = json.load(sys.stdin)
out = {}
for name in ('wordpiece', 'bpe'):
    tokenizer = Tokenizer.from_file(f'{folder}/{name}.json')
    tokenizer.enable_truncation(12)
    out[name] = [[e.ids, e.type_ids] for e in tokenizer.encode_batch(texts)]
print(json.dumps(out))`;
    const answer = execFileSync(python, ['-c', script], { input: JSON.stringify([FOLDER, texts]), timeout: 60_000 });
    const made = JSON.parse(answer.toString('utf8')) as Record<string, [number[], number[]][]>;
    return Promise.all(
      ['wordpiece', 'bpe'].map(async (name) => {
        const tokenizer = await TextTokenizer.open(read(name), { tokenizer: name, maxLength: 12 });
        texts.forEach((text, i) => {
          const { ids, types } = tokenizer.encode(text);
          expect([ids, types], `${name} ${JSON.stringify(text)}`).toEqual(made[name]![i]);
        });
      }),
    ).then(() => undefined);
  });

  const INPUTS: readonly TensorSignature[] = [
    { name: 'ids', datatype: 'INT64', shape: ['n', 'length'] },
    { name: 'mask', datatype: 'FP32', shape: ['n', 'length'] },
    { name: 'types', datatype: 'INT32', shape: ['n', 'length'] },
  ];
  const open = (given: object = {}, inputs = INPUTS): Promise<Preprocessor> => {
    const feeds = { ids: 'ids', mask: 'mask', types: 'types' };
    const entry = { kind: 'text', tokenizer: 'wordpiece.json', maxLength: 8, feeds, ...given };
    const preprocessing = { ids: entry } as unknown as Preprocessing;
    return Preprocessor.open({ preprocessing, inputs, readFile: () => Promise.resolve(read('wordpiece')) });
  };
  const texts = (...rows: string[]): UserRow[] => rows.map((text) => new Map([['text', text]]));

  test('is padded to the longest of a request, with a mask that says so', async () => {
    const [ids, mask, types] = await (await open()).make(texts('fox', 'the lazy fox'));
    expect(ids!.shape).toEqual([2, Math.max(...(ids!.shape as number[]))]);
    const width = ids!.shape[1]!;
    const first = [...(ids!.data as BigInt64Array)].slice(0, width);
    const real = [...(mask!.data as Float32Array)].slice(0, width).filter((value) => value === 1).length;
    expect(first.slice(real)).toEqual(new Array(width - real).fill(0n));
    expect(real).toBeLessThan(width);
    expect(types!.data).toBeInstanceOf(Int32Array);
  });

  test('has one length where the model asks for it, or its author', async () => {
    const fixed = INPUTS.map((input) => ({ ...input, shape: ['n', 8] }));
    expect((await (await open({}, fixed)).make(texts('fox')))[0]!.shape).toEqual([1, 8]);
    expect((await (await open({ padding: 'full' })).make(texts('fox')))[0]!.shape).toEqual([1, 8]);
  });

  test('that is longer than any text is refused before it is cut up', async () => {
    const preprocessor = await open();
    expect(await message(() => preprocessor.make(texts('fox', 'x'.repeat(4_097))))).toBe(
      'row 1: a text must have at most 4096 characters, got 4097',
    );
  });

  test('needs a tokenizer that is one, and leaves room for words', async () => {
    const bad = (bytes: Buffer, maxLength = 8): Promise<string> =>
      message(() => TextTokenizer.open(bytes, { tokenizer: 't.json', maxLength }));
    expect(await bad(Buffer.from('{}'))).toMatch(/^'t.json' is no tokenizer.json: /);
    expect(await bad(Buffer.from('[1'))).toMatch(/^'t.json' is no tokenizer.json: /);
    expect(await bad(read('wordpiece'), 2)).toContain('its special tokens leave nothing of maxLength 2');
    expect(await bad(Buffer.alloc(64 * 2 ** 20 + 1))).toContain('must have at most 67108864 bytes');
  });

  test('of one endless word is cut like any other', async () => {
    const tokenizer = await TextTokenizer.open(read('bpe'), { tokenizer: 'bpe.json', maxLength: 64 });
    expect(tokenizer.encode('over'.repeat(1_024)).ids).toHaveLength(64);
  });
});

describe('columns', () => {
  const make = async (entry: object, input: Partial<TensorSignature>, rows: readonly object[]): Promise<unknown[]> => {
    const inputs: readonly TensorSignature[] = [{ name: 'x', datatype: 'FP32', shape: ['n', 'width'], ...input }];
    const preprocessing = { x: { kind: 'columns', ...entry } } as unknown as Preprocessing;
    const preprocessor = await Preprocessor.open({
      preprocessing,
      inputs,
      readFile: () => Promise.reject(new Error()),
    });
    const [tensor] = await preprocessor.make(rows.map((row) => new Map(Object.entries(row))));
    return [tensor!.shape, ...Array.from(tensor!.data as ArrayLike<unknown>)];
  };

  test('are scaled, counted and spread as the manifest says', async () => {
    const columns = [
      { name: 'age', mean: 40, deviation: 10 },
      { name: 'city', categories: ['Ulm', 'Bern'] },
      { name: 'plan', categories: ['free', 'paid', 'team'], encoding: 'one-hot' },
    ];
    const rows = [
      { age: 50, city: 'Bern', plan: 'team', nobody: 1 },
      { age: '35', city: 'Ulm', plan: 'free' },
      { age: null, city: 'Ulm', plan: 'paid' },
    ];
    expect(await make({ columns }, {}, rows)).toEqual([[3, 5], 1, 1, 0, 0, 1, -0.5, 0, 1, 0, 0, NaN, 0, 0, 1, 0]);
  });

  test('become integers, text and half floats of the input', async () => {
    const id = { columns: [{ name: 'id' }] };
    const big = { id: 9_007_199_254_740_993n };
    expect(await make(id, { datatype: 'INT64', shape: ['n'] }, [big, { id: '7' }])).toEqual([[2], big.id, 7n]);
    expect(await make(id, { datatype: 'BYTES', shape: ['n', 1] }, [{ id: 'a' }, { id: 5 }])).toEqual([
      [2, 1],
      'a',
      '5',
    ]);
    expect(await make(id, { datatype: 'FP16', shape: ['n', 1] }, [{ id: 1 }])).toEqual([[1, 1], 0x3c00]);
    expect(await make(id, { datatype: 'BOOL', shape: ['n', 1] }, [{ id: true }])).toEqual([[1, 1], 1]);
  });

  test('that are missing, or hold what the model never saw, are refused by row and name', async () => {
    const city = { columns: [{ name: 'city', categories: ['Ulm', 'Bern'] }] };
    const refused = (entry: object, input: Partial<TensorSignature>, ...rows: object[]): Promise<string> =>
      message(() => make(entry, input, rows));
    expect(await refused(city, {}, { city: 'Ulm' }, { city: 'Rome' })).toBe(
      'row 1: the column \'city\' must be one of Ulm, Bern, got "Rome"',
    );
    // Every object has something of this name, and it is no category.
    expect(await refused(city, {}, { city: 'constructor' })).toContain('must be one of Ulm, Bern');
    expect(await refused(city, {}, { town: 'Ulm' })).toBe("the column 'city' is missing");
    expect(await refused(city, {}, { city: ['Ulm'] })).toContain('must hold one value');
    const id = { columns: [{ name: 'id' }] };
    expect(await refused(id, { datatype: 'INT32' }, { id: '3000000000' })).toContain('must hold INT32');
    expect(await refused(id, { datatype: 'INT64' }, { id: '1.5' })).toContain('must hold INT64');
    expect(await refused(id, {}, { id: 'many' })).toBe('the column \'id\' must hold FP64, got "many"');
  });
});
