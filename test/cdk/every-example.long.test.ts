import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks } from 'cdk-nag';
import { expect, test, vi } from 'vitest';
import { toolOnPath } from '../support/tools';
import { acceptControls } from './support/accepted-controls';
import { exampleNames, linesOf, loadExample, synthesize, validate, type SynthesizedTemplate } from './support/examples';
import { FLAGS } from './support/stacks';

// What every-example.test.ts asks with the recommended flags, asked of apps that set none: few things differ, and it costs
// as much again.
vi.setConfig({ testTimeout: 300_000 });

const run = promisify(execFile);

for (const name of exampleNames()) {
  test(`${name}: cdk-nag finds nothing without flags that is not acknowledged with a reason`, async () => {
    const reports = validate(await loadExample(name), FLAGS.bare, (app) => {
      acceptControls(app);
      return [new AwsSolutionsChecks(app), new NIST80053R5Checks(app), new HIPAASecurityChecks(app)];
    });
    expect(reports.filter(({ pluginName }) => pluginName !== 'Construct Annotations').flatMap(linesOf)).toEqual([]);
  });
}

test('cfn-lint finds nothing in what is synthesized without flags', async (ctx) => {
  const linter = toolOnPath('cfn-lint');
  if (linter === undefined) return ctx.skip('cfn-lint is not on the PATH');
  const templates: SynthesizedTemplate[] = [];
  for (const name of exampleNames()) templates.push(...synthesize(await loadExample(name), FLAGS.bare));
  const finished = await run(linter, ['--', ...templates.map(({ path }) => path)], { maxBuffer: 16 * 2 ** 20 }).catch(
    (error: unknown) => error as { stdout: string; stderr: string },
  );
  expect(`${finished.stdout}${finished.stderr}`.trim()).toBe('');
});
