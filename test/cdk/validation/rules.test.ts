import { readFileSync } from 'node:fs';
import { checkTemplate, RULES } from 'slipway/cdk/validation';
import { expect, test } from 'vitest';
import { CASES } from './templates';

test('there are more than a score of rules, each with an id and a sentence of its own', () => {
  expect(RULES.length).toBeGreaterThanOrEqual(24);
  expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length);
  expect(new Set(RULES.map(({ about }) => about)).size).toBe(RULES.length);
  for (const { about } of RULES) expect(about).toMatch(/^[A-Z].*\.$/);
});

for (const { id, severity } of RULES) {
  const { at, fails, passes } = CASES[id];

  test(`${id} finds the mistake, and no other rule finds one`, () => {
    const findings = checkTemplate(fails);
    expect(findings.map(({ rule, logicalId }) => ({ rule, logicalId }))).toEqual([{ rule: id, logicalId: at }]);
    expect(findings[0]!.severity).toBe(severity);
    // One sentence: what is there, then the way out.
    expect(findings[0]!.message).toMatch(/^[^\n]{20,400}: [^\n]{10,}$/);
  });

  test(`${id} finds nothing without the mistake, nor in what it cannot read`, () => {
    for (const template of passes) expect(checkTemplate(template)).toEqual([]);
  });
}

test('a template that holds nothing, or nothing that rules know, is read without complaint', () => {
  expect(checkTemplate({})).toEqual([]);
  expect(checkTemplate({ Resources: {} })).toEqual([]);
  const odd = { Type: 'AWS::ECS::TaskDefinition', Properties: { ContainerDefinitions: 'no list' } };
  const bare = Object.values(CASES).flatMap(({ fails }) =>
    Object.values(fails.Resources!).map(({ Type }) => ({ Type })),
  );
  const resources = Object.fromEntries([odd, ...bare].map((resource, i) => [`R${i}`, resource]));
  expect(() => checkTemplate({ Resources: resources })).not.toThrow();
});

test('a rule that is excepted is not asked', () => {
  expect(checkTemplate(CASES.GPU_ON_FARGATE.fails, ['GPU_ON_FARGATE'])).toEqual([]);
});

test('the page of the rules has each of them, with its severity', () => {
  const page = readFileSync('docs/cdk/validation.md', 'utf8');
  const rows = [...page.matchAll(/^\| `([A-Z0-9_]+)` \| (\w+) \| (.+) \|$/gm)].map(([, id, severity, about]) => ({
    id,
    severity,
    about,
  }));
  expect(rows).toEqual(RULES.map(({ id, severity, about }) => ({ id, severity, about })));
});
