import { nearest } from '../../spec/nearest';
import { CALIBRATION_METHODS } from '../optimize/quantize-model';
import { ModelToolError } from '../tool-error';
import { pruneMethodOf, SOURCE_NAME, type Recipe, type RecipePruning, type RecipeStep } from './recipe';

/** What a field of a step must be. */
type Rule = 'number' | 'boolean' | 'text' | 'texts' | readonly string[];

const EXCLUDE = { exclude: 'texts' } as const;

/** Every field of every step. */
const FIELDS: Readonly<Record<RecipeStep['do'], Readonly<Record<string, Rule>>>> = {
  optimize: { simplify: 'boolean', precision: ['fp16'], ...EXCLUDE },
  quantize: {
    mode: ['static', 'dynamic'],
    method: CALIBRATION_METHODS,
    percentile: 'number',
    perChannel: 'boolean',
    reduceRange: 'boolean',
    excludeMost: 'number',
    calibrationRows: 'number',
    ...EXCLUDE,
  },
  prune: {
    method: 'text',
    ratio: 'number',
    sparsity: 'number',
    scope: ['layer', 'global'],
    norm: ['l1', 'l2'],
    roundTo: 'number',
    ...EXCLUDE,
  },
  cluster: { clusters: 'number', ...EXCLUDE },
  sparsify: {},
};
/** Names are names of folders, too. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;
const MAX_STEPS = 16;

/**
 * Recipes as a file has them: `{ recipes: [{ name, steps: [{ do: quantize, mode: dynamic }] }] }`.
 * @param where the file, for messages
 * @throws ModelToolError RECIPES_INVALID naming the place and what would work
 */
export function parseRecipes(content: unknown, where: string): readonly Recipe[] {
  const refuse: Refuse = (place, message) => {
    throw new ModelToolError('RECIPES_INVALID', where, `${place} ${message}`);
  };
  if (!isRecord(content)) return refuse('the file', "must have 'recipes', a list");
  assertFields(content, ['recipes'], 'the file', refuse);
  const { recipes } = content;
  if (!Array.isArray(recipes) || recipes.length === 0) return refuse("'recipes'", 'must be a list of at least one');
  const names = new Set<string>([SOURCE_NAME]);
  return recipes.map((recipe: unknown, i) => {
    const place = `recipes[${i}]`;
    if (!isRecord(recipe)) return refuse(place, 'must have a name and steps');
    assertFields(recipe, ['name', 'steps'], place, refuse);
    const { name, steps } = recipe;
    if (typeof name !== 'string' || !NAME.test(name)) {
      return refuse(`${place}.name`, 'must be 1 to 64 letters, digits, dots, dashes and underscores');
    }
    if (names.has(name)) return refuse(`${place}.name`, `'${name}' is taken`);
    names.add(name);
    if (!Array.isArray(steps) || steps.length === 0 || steps.length > MAX_STEPS) {
      return refuse(`${place}.steps`, `must be a list of 1 to ${MAX_STEPS} steps`);
    }
    return { name, steps: steps.map((step: unknown, j) => parseStep(step, `${place}.steps[${j}]`, refuse)) };
  });
}

type Refuse = (place: string, message: string) => never;

function parseStep(step: unknown, place: string, refuse: Refuse): RecipeStep {
  const kinds = Object.keys(FIELDS);
  if (!isRecord(step)) return refuse(place, `must say what to 'do': ${kinds.join(', ')}`);
  const { do: kind, ...fields } = step;
  if (typeof kind !== 'string' || !Object.hasOwn(FIELDS, kind)) {
    return refuse(`${place}.do`, `must be ${kinds.join(', ')}`);
  }
  const rules = FIELDS[kind as RecipeStep['do']];
  assertFields(fields, Object.keys(rules), place, refuse);
  for (const [field, value] of Object.entries(fields)) {
    const wanted = unmet(rules[field]!, value);
    if (wanted !== undefined) refuse(`${place}.${field}`, `must be ${wanted}`);
  }
  if (kind === 'cluster' && fields['clusters'] === undefined) refuse(`${place}.clusters`, 'must be a number');
  if (
    kind === 'prune' &&
    (fields['method'] === undefined || pruneMethodOf(fields as unknown as RecipePruning) === undefined)
  ) {
    refuse(`${place}.method`, 'must be channels, magnitude or a pattern such as 2:4');
  }
  return step as unknown as RecipeStep;
}

/** What a value should have been; undefined when it is. */
function unmet(rule: Rule, value: unknown): string | undefined {
  if (typeof rule === 'object') return rule.includes(value as string) ? undefined : rule.join(' or ');
  switch (rule) {
    case 'number':
      return Number.isFinite(value) ? undefined : 'a number';
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'true or false';
    case 'text':
      return typeof value === 'string' ? undefined : 'a text';
    case 'texts':
      return Array.isArray(value) && value.every((each) => typeof each === 'string') ? undefined : 'a list of names';
  }
}

function assertFields(value: object, known: readonly string[], place: string, refuse: Refuse): void {
  const stranger = Object.keys(value).find((field) => !known.includes(field));
  if (stranger === undefined) return;
  const help = known.length === 0 ? 'there are none' : `the nearest one is '${nearest(stranger, known)}'`;
  refuse(place, `has no field '${stranger}', ${help}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
