import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { SPEC_FILE } from '../../runtime/cli/spec-fields';
import { specSchema } from '../../runtime/cli/spec-schema';
import { assertShape, type ObjectShape, type Shape } from '../../runtime/cli/spec-shape';

const root = path.join(__dirname, '../..');
// The linter brings it; any validator of draft 7 would do.
const Ajv = createRequire(require.resolve('eslint'))('ajv') as new (options?: object) => {
  compile(schema: object): (value: unknown) => boolean;
};
const validates = new Ajv().compile(specSchema());

function reads(value: unknown): boolean {
  try {
    assertShape(value, SPEC_FILE, '');
    return true;
  } catch {
    return false;
  }
}

const anything = fc.oneof(
  fc.string({ maxLength: 4 }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.string({ maxLength: 4 }), { maxLength: 2 }),
  fc.array(fc.integer(), { maxLength: 2 }),
  fc.dictionary(fc.string({ maxLength: 4 }), fc.string({ maxLength: 4 }), { maxKeys: 2 }),
);

/** Mostly what a shape takes, and now and then something else. */
function nearly(shape: Shape): fc.Arbitrary<unknown> {
  return fc.oneof({ arbitrary: right(shape), weight: 30 }, { arbitrary: anything, weight: 1 });
}

function right(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'text':
      return fc.string({ maxLength: 4 });
    case 'number':
      return fc.integer();
    case 'boolean':
      return fc.boolean();
    case 'choice':
      return fc.constantFrom(...shape.choices);
    case 'list':
      return fc.array(nearly(shape.of), { maxLength: 2 });
    case 'map':
      return fc.dictionary(fc.string({ maxLength: 4 }), nearly(shape.of), { maxKeys: 2 });
    case 'object':
      return objectOf(shape);
  }
}

function objectOf({ fields, required, some = [[]], never = [] }: ObjectShape): fc.Arbitrary<object> {
  const values = Object.fromEntries(Object.entries(fields).map(([name, { shape }]) => [name, nearly(shape)]));
  const pick = fc.record({
    set: fc.constantFrom(...some),
    others: fc.subarray(Object.keys(fields), { maxLength: Math.min(3, Object.keys(fields).length) }),
    // One in ten keeps what excludes each other, or leaves out what is required.
    careless: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    extra: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
  });
  return pick.chain(({ set, others, careless, extra }) => {
    const names = new Set([...(careless ? [] : [...required, ...set]), ...others]);
    for (const [one, other] of careless ? [] : never) if (names.has(one)) names.delete(other);
    return fc
      .record(Object.fromEntries([...names].map((name) => [name, values[name]!])))
      .map((value) => (extra ? { ...value, unheardOf: 1 } : value));
  });
}

describe('the published JSON schema', () => {
  test('is the one that is made from the reader’s own table', async () => {
    await expect(`${JSON.stringify(specSchema(), undefined, 2)}\n`).toMatchFileSnapshot('../../docs/spec.schema.json');
  });

  test('takes a file exactly where the reader does', () => {
    const counts = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(nearly(SPEC_FILE), (value) => {
        const taken = reads(value);
        counts[taken ? 'taken' : 'refused'] += 1;
        expect(validates(value)).toBe(taken);
      }),
      { numRuns: 3_000 },
    );
    // Otherwise it would have compared one side alone.
    expect(Math.min(counts.taken, counts.refused)).toBeGreaterThan(300);
  });

  test('takes the spec file of the sample model', () => {
    expect(validates(parse(readFileSync(path.join(root, 'models/digits/service.yaml'), 'utf8')))).toBe(true);
  });

  test('is part of the package under its published name', () => {
    const { exports, files } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    expect(exports['./spec.schema.json']).toBe('./docs/spec.schema.json');
    expect(files).toContain('docs/spec.schema.json');
  });

  test('says of every field what it means', () => {
    const silent: string[] = [];
    const look = (shape: Shape, where: string): void => {
      if (shape.kind === 'list' || shape.kind === 'map') return look(shape.of, where);
      if (shape.kind !== 'object') return;
      for (const [name, field] of Object.entries(shape.fields)) {
        if (field.about.length < 8) silent.push(`${where}.${name}`);
        look(field.shape, `${where}.${name}`);
      }
    };
    look(SPEC_FILE, '');
    expect(silent).toEqual([]);
  });
});
