import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, NestedStack, Stack, Stage, Validations } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import { InferenceRules, RULES } from 'slipway/cdk/validation';
import { expect, test, vi } from 'vitest';
import { emptyFolder } from '../support/cdk-cli';

// Nothing here is a construct of ours: the rules are for any app.
const PINNED = ecs.ContainerImage.fromRegistry(`registry.example/server@sha256:${'0'.repeat(64)}`);

function gpuTaskOnFargate(scope: Construct, image = PINNED, gpuCount?: number): ecs.FargateTaskDefinition {
  const task = new ecs.FargateTaskDefinition(scope, 'Task');
  task.addContainer('server', { image, ...(gpuCount === undefined ? {} : { gpuCount }) });
  return task;
}

function newApp(options?: ConstructorParameters<typeof InferenceRules>[0]): App {
  const app = new App({ outdir: emptyFolder(), analyticsReporting: false });
  Validations.of(app).addPlugins(new InferenceRules(options));
  return app;
}

function reportOf(app: App): any {
  const report = JSON.parse(readFileSync(join(app.outdir, 'validation-report.json'), 'utf8'));
  return report.pluginReports.find(({ pluginName }: { pluginName: string }) => pluginName === 'Slipway');
}

test('an error ends the synthesis, names the construct and says how to accept it', () => {
  const app = newApp();
  gpuTaskOnFargate(new Stack(app, 'Plain'), PINNED, 1);
  expect(() => app.synth()).toThrow(
    /asks for 1 GPU on Fargate[\s\S]*Plain\/Task\/Resource[\s\S]*'Slipway::GPU_ON_FARGATE'/,
  );
});

test('what is acknowledged at a construct is recorded with its reason, and ends nothing', () => {
  const app = newApp();
  const task = gpuTaskOnFargate(new Stack(app, 'Plain'), PINNED, 1);
  Validations.of(task).acknowledge({ id: 'Slipway::GPU_ON_FARGATE', reason: 'a test of the linter' });
  app.synth();
  expect(reportOf(app).violations).toEqual([]);
  expect(reportOf(app).suppressedViolations).toMatchObject([
    { ruleName: 'GPU_ON_FARGATE', reason: 'a test of the linter' },
  ]);
});

test('a warning is shown, and ends nothing', () => {
  const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const app = newApp();
    gpuTaskOnFargate(new Stack(app, 'Plain'), ecs.ContainerImage.fromRegistry('registry.example/server:latest'));
    app.synth();
    const shown = [...printed.mock.calls, ...written.mock.calls].flat().join('\n');
    expect(shown).toContain("image 'registry.example/server:latest' is named by a tag");
    expect(reportOf(app).violations).toMatchObject([{ ruleName: 'UNPINNED_IMAGE', severity: 'warning' }]);
  } finally {
    printed.mockRestore();
    written.mockRestore();
  }
});

test('templates of stages and nested stacks are looked at', () => {
  for (const scopeOf of [
    (app: App) => new Stack(new Stage(app, 'Stage'), 'Inner'),
    (app: App) => new NestedStack(new Stack(app, 'Outer'), 'Nested'),
  ]) {
    const app = newApp();
    gpuTaskOnFargate(scopeOf(app), PINNED, 1);
    expect(() => app.synth()).toThrow(/asks for 1 GPU on Fargate[\s\S]*\/Task\/Resource/);
  }
});

test('a rule that is excepted is not asked, and not said to be', () => {
  const app = newApp({ except: ['GPU_ON_FARGATE'] });
  gpuTaskOnFargate(new Stack(app, 'Plain'), PINNED, 1);
  app.synth();
  expect(new InferenceRules({ except: ['GPU_ON_FARGATE'] }).ruleIds).toEqual(
    RULES.map(({ id }) => id).filter((id) => id !== 'GPU_ON_FARGATE'),
  );
});
