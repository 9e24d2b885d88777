import path from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import { describe, expect, test, vi } from 'vitest';
import { LATE_ARGS } from '../../pulumi/late-args';
import { assertPlain } from '../../pulumi/plain-args';
import { assertSucceeded, runPulumiProgram } from 'slipway/testing';
import { argumentsOf, COMPONENTS, withValueAt } from '../support/pulumi-arguments';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

test('the table has every component of the schema and no other', () => {
  expect(Object.keys(LATE_ARGS).sort()).toEqual([...COMPONENTS].sort());
});

describe.each(COMPONENTS)('%s', (token) => {
  const late = LATE_ARGS[token]!;

  test('takes an output for every argument that the schema calls an input, and refuses one for every other', () => {
    const wrong = argumentsOf(token).flatMap(({ path: where, isPlain }) => {
      const refused = refusalOf(withValueAt(where, pulumi.output('late')), late);
      const isRefused = refused?.startsWith(`VALUE_NOT_PLAIN ${shown(where)}: `) ?? false;
      return isRefused === isPlain ? [] : [`${shown(where)}: ${refused ?? 'taken'}`];
    });
    expect(wrong).toEqual([]);
  });
});

test('every component looks at its arguments before it makes anything', async () => {
  const program = path.join(__dirname, 'programs/not-plain.ts');
  const recording = assertSucceeded(await runPulumiProgram({ program, typeCheck: false, preview: true }));
  const refusals = recording.stackOutputs['refusals'] as Record<string, string>;
  expect(Object.keys(refusals).sort()).toEqual([...COMPONENTS].sort());
  expect(Object.entries(refusals).filter(([, said]) => !said.startsWith('VALUE_NOT_PLAIN '))).toEqual([]);
  expect(recording.resources.filter(({ custom }) => custom)).toEqual([]);
});

test('an output in a list, in a map, and a promise are found where they are', () => {
  const promise = Promise.resolve('late');
  expect(refusalOf({ a: ['x', pulumi.secret('y')] }, [])).toMatch(
    /^VALUE_NOT_PLAIN a\[1\]: must be known .* be no secret, got an output/,
  );
  expect(refusalOf({ a: { b: promise } }, ['a.c', 'b'])).toMatch(/^VALUE_NOT_PLAIN a\.b: /);
  expect(refusalOf({ tags: pulumi.output({}) }, ['tags.*'])).toMatch(/^VALUE_NOT_PLAIN tags: /);
  expect(refusalOf({ tags: { 'a.b': promise }, list: [{ c: promise }] }, ['tags.*', 'list.*.c'])).toBeUndefined();
});

function refusalOf(args: object, late: readonly string[]): string | undefined {
  try {
    assertPlain(args, late);
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

/** As it is said: `reads[0].name`. */
function shown(where: readonly string[]): string {
  return where.join('.').replaceAll(/\.(\d+)(?=\.|$)/g, '[$1]');
}
