import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks } from 'cdk-nag';
import { InferenceRules } from 'slipway/cdk/validation';
import { scrubTemplate } from 'slipway/testing';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { toolOnPath } from '../support/tools';
import { acceptControls } from './support/accepted-controls';
import {
  exampleNames,
  linesOf,
  loadExample,
  synthesize,
  validate,
  type CreateApp,
  type SynthesizedTemplate,
} from './support/examples';
import { FLAGS } from './support/stacks';

// A new example is found by itself. `npx vitest run test/cdk/every-example.test.ts -t <name> -u` writes what its reviewers
// read: its templates, and what it acknowledges of cdk-nag.

// The linter reads every template of every example.
vi.setConfig({ testTimeout: 180_000 });

const run = promisify(execFile);
const SNAPSHOTS = join(__dirname, '__snapshots__');
const PACKS = ['AwsSolutions', 'NIST.800.53.R5', 'HIPAA.Security'];

/** Examples that cannot do without a Lambda function or a custom resource, and why. */
const RUNS_FUNCTIONS: Readonly<Record<string, string>> = {
  canary: 'ECS takes nothing but a function as a hook of a deployment',
  eks: 'CDK applies Kubernetes objects by the function of the cluster',
};
/** Examples in which regions are what is shown. */
const NAMES_REGIONS = ['multi-region'];

const reviewed: SynthesizedTemplate[] = [];

for (const name of exampleNames()) {
  describe(name, () => {
    let apps: readonly CreateApp[];
    let templates: readonly SynthesizedTemplate[];
    beforeAll(async () => {
      apps = await loadExample(name);
      templates = synthesize(apps, FLAGS.recommended);
      reviewed.push(...templates);
    });

    test(`${name}: a program runs it`, () => {
      const program = readFileSync(join('cdk/examples', name, 'main.ts'), 'utf8');
      expect(program).toMatch(/^create\w*App\(/m);
    });

    test(`${name}: the templates are as reviewed: a changed logical id replaces somebody's resource`, async () => {
      for (const { stack, text } of templates) {
        const scrubbed = JSON.stringify(scrubTemplate(JSON.parse(text) as object), undefined, 1);
        await expect(scrubbed).toMatchFileSnapshot(join(SNAPSHOTS, name, `${stack}.template.json`));
      }
    });

    test(`${name}: no template is kept of a stack that is gone`, () => {
      const kept = readdirSync(join(SNAPSHOTS, name)).filter((file) => file.endsWith('.template.json'));
      expect(kept.sort()).toEqual(templates.map(({ stack }) => `${stack}.template.json`).sort());
    });

    for (const [set, flags] of Object.entries(FLAGS)) {
      test(`${name}: CDK's own rules and ours find nothing (${set} flags)`, () => {
        const rules = new InferenceRules();
        const asked = vi.spyOn(rules, 'validate');
        const context = { ...flags, '@aws-cdk/core:validateAgainstDefaultRules': true };
        const reports = withDefaultRules(() => validate(apps, context, () => [rules]));
        expect(asked).toHaveBeenCalledTimes(apps.length);
        // Warnings that constructs leave for whoever deploys are no findings about templates.
        const findings = reports.filter(({ pluginName }) => pluginName !== 'Construct Annotations').flatMap(linesOf);
        expect(findings).toEqual([]);
      });

      test(`${name}: every stack stands alone, wherever it is deployed, and runs no function without a reason (${set} flags)`, () => {
        const synthesized = set === 'recommended' ? templates : synthesize(apps, flags);
        for (const { text } of synthesized) {
          for (const word of ['Fn::ImportValue', 'Fn::GetStackOutput', '"Export"']) expect(text).not.toContain(word);
          const resources = JSON.stringify((JSON.parse(text) as Record<string, unknown>)['Resources']);
          expect(resources).not.toMatch(/(?<![0-9a-f])\d{12}(?![0-9a-f])/);
          // In a region that is named, CDK names the partition as well.
          if (NAMES_REGIONS.includes(name)) continue;
          expect(resources).not.toMatch(/arn:aws[a-z-]*:|\b(us|eu|ap|ca|sa)-[a-z]+-\d\b/);
        }
        const types = synthesized.flatMap(({ text }) => typesIn(text));
        const functions = types.filter((type) => /^AWS::Lambda::Function$|^Custom::|CustomResource$/.test(type));
        expect(functions.length > 0).toBe(name in RUNS_FUNCTIONS);
      });
    }

    test(`${name}: synthesized again, it is the same to the byte`, () => {
      const again = synthesize(apps, FLAGS.recommended);
      expect(again.map(({ stack, text }) => ({ stack, text }))).toEqual(
        templates.map(({ stack, text }) => ({ stack, text })),
      );
    });

    test(`${name}: cdk-nag finds nothing that is not acknowledged with a reason`, async () => {
      const reports = validate(apps, FLAGS.recommended, (app) => {
        acceptControls(app);
        return [new AwsSolutionsChecks(app), new NIST80053R5Checks(app), new HIPAASecurityChecks(app)];
      }).filter(({ pluginName }) => PACKS.includes(pluginName));
      expect(new Set(reports.map(({ pluginName }) => pluginName))).toEqual(new Set(PACKS));
      expect(reports.flatMap(linesOf)).toEqual([]);
      const acknowledged = reports.flatMap(({ suppressedViolations = [] }) => suppressedViolations);
      for (const { reason } of acknowledged) expect(reason.length).toBeGreaterThan(20);
      await expect(reasonsOf(acknowledged)).toMatchFileSnapshot(join(SNAPSHOTS, name, 'acknowledged.txt'));
    });
  });
}

test('no snapshot is kept of an example that is gone', () => {
  const folders = readdirSync(SNAPSHOTS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map((folder) => folder.name)).toEqual(expect.arrayContaining([...exampleNames()]));
  for (const { name } of folders) expect(exampleNames()).toContain(name);
});

test('no two stacks of all examples have one name, so that they can be deployed side by side', () => {
  const names = reviewed.map(({ stack }) => stack);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

test('cfn-lint finds nothing', async (ctx) => {
  const linter = toolOnPath('cfn-lint');
  if (linter === undefined) return ctx.skip('cfn-lint is not on the PATH');
  const finished = await run(linter, ['--', ...reviewed.map(({ path }) => path)], { maxBuffer: 16 * 2 ** 20 }).catch(
    (error: unknown) => error as { stdout: string; stderr: string },
  );
  expect(`${finished.stdout}${finished.stderr}`.trim()).toBe('');
});

/** One line for each rule and reason; at which constructs, is the templates' business. */
function reasonsOf(acknowledged: readonly { readonly ruleName: string; readonly reason: string }[]): string {
  const lines = new Set(acknowledged.map(({ ruleName, reason }) => `${ruleName}: ${reason}\n`));
  return [...lines].sort().join('');
}

/** CDK's own rules are off in tests: they cost two seconds and 310 MB in every process. */
function withDefaultRules<T>(synthesizeThem: () => T): T {
  const turnedOff = process.env['CDK_VALIDATION'];
  delete process.env['CDK_VALIDATION'];
  try {
    return synthesizeThem();
  } finally {
    process.env['CDK_VALIDATION'] = turnedOff;
  }
}

function typesIn(template: string): readonly string[] {
  const { Resources = {} } = JSON.parse(template) as { Resources?: Record<string, { readonly Type: string }> };
  return Object.values(Resources).map(({ Type }) => Type);
}
