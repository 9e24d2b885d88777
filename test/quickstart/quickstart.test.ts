import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseManifest, planInferenceService, readEnvironment } from '../../runtime/spec';
import { readServiceFile } from '../../runtime/cli/spec-file';
import { toolOnPath } from '../support/tools';

const ROOT = path.resolve(__dirname, '../..');
const SCRIPT = path.join(ROOT, 'scripts/quickstart.mjs');
const heldOut = JSON.parse(readFileSync(path.join(ROOT, 'models/digits/heldout.json'), 'utf8'));

/** A folder of its own inside the clone: the demonstration that a developer may be running is left alone. */
function makeDirectory(): string {
  const parent = path.join(ROOT, '.slipway');
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(path.join(parent, 'test-'));
}

class Quickstart {
  readonly directory = makeDirectory();
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output = '';

  constructor(...flags: string[]) {
    // A variable that the plan does not give must not reach the server: it would refuse to start.
    const env = { ...process.env, SLIPWAY_LOG_LEVLE: 'debug' };
    const args = ['run', '--silent', 'quickstart', '--', '--directory', this.directory, ...flags];
    // A process group of its own, so that Ctrl-C can be sent as a terminal does: to npm and everything below it.
    this.child = spawn('npm', args, { cwd: ROOT, env, detached: true });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
  }

  pressCtrlC(): void {
    process.kill(-this.child.pid!, 'SIGINT');
  }

  /** Waits for a line of the output, or for its end. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match !== null) return match;
      const waited = new Promise((resolve) => setTimeout(resolve, 50));
      if ((await Promise.race([this.ended.then(() => 'ended'), waited])) === 'ended') {
        throw new Error(`ended without printing ${pattern}:\n${this.output}`);
      }
    }
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null) this.pressCtrlC();
    await this.ended;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

describe('npm run quickstart -- --once', () => {
  let quickstart: Quickstart;
  let occupant: Server;
  beforeAll(async () => {
    // Somebody else has the metrics port: the demonstration takes another and says so.
    occupant = createServer();
    await new Promise<void>((resolve) => occupant.once('error', () => resolve()).listen(8082, '127.0.0.1', resolve));
    quickstart = new Quickstart('--once');
    await quickstart.ended;
  }, 240_000);
  afterAll(async () => {
    occupant.close();
    await quickstart.close();
  });

  const file = (name: string): string => path.join(quickstart.directory, name);
  const read = (name: string): string => readFileSync(file(name), 'utf8');

  test('ends with exit 0', () => {
    expect(quickstart.child.exitCode, quickstart.output).toBe(0);
  });

  test('is plain text of at most a hundred columns where nobody looks at a terminal', () => {
    expect(quickstart.output).not.toMatch(/\u001b/);
    const tooWide = quickstart.output.split('\n').filter((line) => line.length > 100 && !line.includes(ROOT));
    expect(tooWide).toEqual([]);
  });

  test('shows the inputs, outputs, opset and weights of the sample model, and the licence of its data', () => {
    for (const line of [
      /input +image FP32 \[batch, 1, 8, 8\]/,
      /output +probabilities FP32 \[batch, 10\]/,
      /opset +ai\.onnx 17/,
      /weights +101\.0 KiB/,
      /CC BY 4\.0/,
    ]) {
      expect(quickstart.output).toMatch(line);
    }
  });

  test('shows the plan: instance, memory, startup budget, and every number that derives from it', () => {
    const { lifecycle, resources } = planInferenceService(readServiceFile(file('deploy/kubernetes/service.yaml')).spec);
    const numbers: [string, number][] = [
      ['memory', resources.memoryMiB],
      ['startup budget', lifecycle.startupBudgetSeconds],
      ['grace period', lifecycle.loadBalancerCheck.gracePeriodSeconds],
      ['progress deadline', lifecycle.progressDeadlineSeconds],
      ['await timeout', lifecycle.awaitTimeoutSeconds],
      ['drain', lifecycle.drainSeconds],
      ['stop timeout', lifecycle.stopTimeoutSeconds],
    ];
    for (const [name, value] of numbers)
      expect(quickstart.output).toMatch(new RegExp(`${name} +${value} (s|MiB) +\\S`));
    expect(quickstart.output).toMatch(/instance +Fargate, or any node/);
  });

  test('publishes version 1 with digests and a golden proof', () => {
    const manifest = parseManifest(read('models/digits/1/manifest.json'), 'manifest.json');
    expect([manifest.name, manifest.version]).toEqual(['digits', 1]);
    expect(manifest.golden!.outputs[0]!.tolerance.kind).toBe('elementwise');
    for (const { path: name, sha256 } of manifest.files) {
      expect(existsSync(file(`models/digits/1/${name}`))).toBe(true);
      expect(quickstart.output).toContain(`sha256 ${sha256.slice(0, 32)}`);
    }
  });

  test('starts the server with the environment of the plan, and says what differs here', () => {
    const { output } = quickstart;
    for (const line of [
      /SLIPWAY_CONTRACT +1\n/,
      /SLIPWAY_STARTUP_BUDGET_SECONDS +60\n/,
      /SLIPWAY_MODELS +\[\{"name"/,
    ]) {
      expect(output).toMatch(line);
    }
    expect(output).toMatch(/SLIPWAY_DEREGISTRATION_LAG_SECONDS +0 +\(here, planned 10\)/);
    expect(output).toMatch(/SLIPWAY_METRICS_PORT +\d+ +\(here\)/);
    expect(output).toContain('Port 8082 is taken on this machine');
    expect(output).toMatch(/ready after [\d.]+ s of the 60 s budgeted, golden proof passed/);
  });

  test('draws a real digit and reads it right', () => {
    const shown = JSON.parse(read('digit.json')).inputs[0].data;
    const index = heldOut.images.findIndex((image: number[]) => image.join() === shown.join());
    expect(quickstart.output).toMatch(new RegExp(`answer +${heldOut.labels[index]}\n`));
    expect(quickstart.output).toMatch(/probability +\d+\.\d %/);
    const drawn = quickstart.output.split('\n').filter((line) => /│[ ░▒▓█]{16}│/.test(line));
    expect(drawn).toHaveLength(8);
    expect(drawn.join('')).toContain('██');
  });

  test('measures p50 and p99 of a few hundred requests, and the time to the first prediction', () => {
    const [, requests, p50, p99] = /(\d+) requests, .+ p50 ([\d.]+) ms, p99 ([\d.]+) ms/.exec(quickstart.output)!;
    expect(Number(requests)).toBeGreaterThanOrEqual(300);
    expect(Number(p99)).toBeGreaterThanOrEqual(Number(p50));
    expect(quickstart.output).toMatch(/First prediction [\d.]+ s after the start of this command/);
  });

  test('writes the CloudFormation template and its assembly', () => {
    const template = JSON.parse(read('deploy/cdk/SlipwayQuickstart.template.json'));
    const types = Object.values<{ Type: string }>(template.Resources).map(({ Type }) => Type);
    expect(types).toContain('AWS::ECS::Service');
    expect(quickstart.output).toContain(`AWS CDK: ${types.length} resources in `);
    expect(quickstart.output).toMatch(/next: npx cdk deploy --app .+deploy\/cdk\n/);
    const cdk = path.join(ROOT, 'node_modules/aws-cdk/bin/cdk');
    const listed = spawnSync(process.execPath, [cdk, 'ls', '--app', file('deploy/cdk')], { encoding: 'utf8' });
    expect(listed.stdout, listed.stderr).toBe('SlipwayQuickstart\n');
  });

  test('writes the Kubernetes objects as YAML, and the spec file that renders them', () => {
    const objects = parseAllDocuments(read('deploy/kubernetes/objects.yaml')).map((document) => document.toJS());
    expect(objects.map(({ kind }) => kind)).toContain('Deployment');
    expect(quickstart.output).toContain(`Kubernetes: ${objects.length} resources in `);
  });

  test('the next command for Kubernetes renders the same objects for another image and model repository', () => {
    const [, specFile] = /npx slipway render (\S+) /.exec(quickstart.output)!;
    const bin = path.join(ROOT, 'dist/runtime/cli/bin.js');
    const flags = ['--image', 'registry.example/slipway', '--model-repository', 's3://bucket.example/models'];
    const rendered = spawnSync(process.execPath, [bin, 'render', specFile!, ...flags], { cwd: ROOT, encoding: 'utf8' });
    expect(rendered.stdout, rendered.stderr).toBe(read('deploy/kubernetes/objects.yaml'));
  });

  test('writes the Pulumi program and the list of its resources', () => {
    const resources: { type: string }[] = JSON.parse(read('deploy/pulumi/resources.json'));
    const types = resources.map(({ type }) => type);
    for (const type of ['slipway:index:InferenceService', 'kubernetes:apps/v1:Deployment', 'aws:s3/bucket:Bucket']) {
      expect(types).toContain(type);
    }
    const created = types.filter((type) => /^(aws|kubernetes):/.test(type));
    expect(quickstart.output).toContain(`Pulumi: ${created.length} resources in `);
    for (const name of ['Pulumi.yaml', 'index.ts', 'service.json', 'digits.manifest.json']) {
      expect(existsSync(file(`deploy/pulumi/${name}`)), name).toBe(true);
    }
  });

  test('deploys one spec: engines and server are told the same', () => {
    const objects = parseAllDocuments(read('deploy/kubernetes/objects.yaml')).map((document) => document.toJS());
    const env: { name: string; value: string }[] = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec
      .containers[0].env;
    const settings = readEnvironment(Object.fromEntries(env.map(({ name, value }) => [name, value])));
    const template = JSON.parse(read('deploy/cdk/SlipwayQuickstart.template.json'));
    const task: any = Object.values<any>(template.Resources).find(({ Type }) => Type === 'AWS::ECS::TaskDefinition');
    const container = task.Properties.ContainerDefinitions.find((entry: any) =>
      entry.Environment.some(({ Name }: { Name: string }) => Name === 'SLIPWAY_CONTRACT'),
    );
    for (const [variable, value] of [
      ['SLIPWAY_STARTUP_BUDGET_SECONDS', settings.startupBudgetSeconds],
      ['SLIPWAY_QUEUE_DEPTH_ROWS', settings.queueDepthRows],
      ['SLIPWAY_SERVICE_NAME', settings.serviceName],
    ] as const) {
      expect(container.Environment).toContainEqual({ Name: variable, Value: String(value) });
    }
  });
});

test('npm run quickstart keeps serving: the curl line works when pasted, and Ctrl-C drains and exits 0', async () => {
  const quickstart = new Quickstart();
  try {
    const [curlLine, url, body] = await quickstart.printed(/^curl -s (\S+) -d @(\S+)$/m);
    const answer =
      toolOnPath('curl') === undefined
        ? await (await fetch(url!, { method: 'POST', body: readFileSync(body!) })).text()
        : spawnSync('bash', ['-c', curlLine], { encoding: 'utf8', cwd: '/' }).stdout;
    const { outputs } = JSON.parse(answer);
    expect(outputs[0]).toMatchObject({ name: 'probabilities', shape: [1, 10] });

    quickstart.pressCtrlC();
    expect(await quickstart.ended, quickstart.output).toBe(0);
    expect(quickstart.output).toContain('drained, bye');
    await expect(fetch(url!)).rejects.toThrow();
  } finally {
    await quickstart.close();
  }
}, 240_000);

test('Ctrl-C in the middle of the demonstration leaves no server behind', async () => {
  const quickstart = new Quickstart();
  try {
    const [, url] = await quickstart.printed(/inference (http:\S+)/);
    quickstart.pressCtrlC();
    expect(await quickstart.ended, quickstart.output).toBe(0);
    await expect(fetch(url!)).rejects.toThrow();
  } finally {
    await quickstart.close();
  }
}, 240_000);

test('an argument that means nothing is refused with the usage', () => {
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, '--onec'], { encoding: 'utf8' });
  expect(status).toBe(2);
  expect(stderr).toMatch(/^error: unexpected argument '--onec'\nusage: npm run quickstart/);
});
