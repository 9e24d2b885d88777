import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { PulumiEngine } from '../../runtime/testing/pulumi-engine';
import { loadPulumiSdk } from '../../runtime/testing/pulumi-sdk';
import { findDescendants, findResource, propertyAt, type PulumiRecording } from 'slipway/testing';
import { linkModules } from '../support/installed-modules';

// The example's plugin in the process that the Pulumi CLI would start for a program in another language, asked over the
// protocol by which the engine asks plugins.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const root = path.resolve(__dirname, '../..');
const load = createRequire(__filename);
const services = load('@pulumi/pulumi/proto/provider_grpc_pb');
const messages = load('@pulumi/pulumi/proto/provider_pb');
const { Struct } = load('google-protobuf/google/protobuf/struct_pb');

let folder: string;
let server: ChildProcess;
let client: any;
let engine: PulumiEngine;
let engineAddress: string;

beforeAll(async () => {
  if (!existsSync(path.join(root, 'dist/pulumi/plugin/index.js'))) throw new Error('dist is not built: npm run build');
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-plugin-'));
  cpSync(path.join(root, 'pulumi/examples/any-language'), folder, { recursive: true });
  linkModules(path.join(folder, 'plugin'), root);
  engine = new PulumiEngine(loadPulumiSdk(root), { project: 'digits-in-yaml', stack: 'dev', preview: false });
  engineAddress = await engine.listen();
  server = spawn(
    process.execPath,
    [load.resolve('@pulumi/pulumi/cmd/run-plugin'), path.join(folder, 'plugin'), engineAddress],
    { cwd: path.join(folder, 'plugin'), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const port = await new Promise<string>((resolve, reject) => {
    server.stdout!.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    server.once('exit', (code) => reject(new Error(`the plugin ended with exit code ${code}`)));
  });
  client = new services.ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
});

afterAll(() => {
  client?.close();
  server?.removeAllListeners('exit');
  server?.kill();
  engine?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('the plugin serves the schema of every component, with the version of the package', async () => {
  const schema = JSON.parse((await call('getSchema', new messages.GetSchemaRequest())).getSchema());
  const { version } = load(path.join(root, 'package.json'));
  expect(schema).toMatchObject({ name: 'slipway', version });
  expect(Object.keys(schema.resources)).toContain('slipway:index:InferenceService');
  expect(Object.keys(schema.resources)).toContain('slipway:aws:GpuInstanceGroup');
});

test('a service that another language asks for is the one that TypeScript would declare', async () => {
  const response = await call(
    'construct',
    request('slipway:index:InferenceService', 'digits', {
      namespace: 'inference',
      image: `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`,
      models: [
        { name: 'digits', repositoryUri: 's3://team-models', manifest: path.join(folder, 'digits.manifest.json') },
      ],
      minReplicas: 1,
      maxReplicas: 4,
    }),
  );
  expect(response.getState().toJavaScript()).toMatchObject({ url: 'http://digits.inference.svc:8080' });
  const recording = engine.recording() as PulumiRecording;
  const service = findResource(recording, 'slipway:index:InferenceService');
  expect(response.getUrn()).toBe(service.urn);
  expect(findDescendants(recording, service.urn).map(({ type }) => type)).toContain('kubernetes:apps/v1:Deployment');
  const deployment = findResource(recording, 'kubernetes:apps/v1:Deployment');
  expect(propertyAt(deployment.inputs, 'spec.template.spec.containers[0].image')).toContain('@sha256:');
});

test('a component that does not exist is refused by its name, with those that do', async () => {
  await expect(call('construct', request('slipway:index:Service', 'x', {}))).rejects.toThrow(
    "there is no component 'slipway:index:Service'; known are ",
  );
});

function request(type: string, name: string, inputs: object) {
  const asked = new messages.ConstructRequest();
  asked.setType(type);
  asked.setName(name);
  asked.setProject('digits-in-yaml');
  asked.setStack('dev');
  asked.setParallel(4);
  asked.setMonitorendpoint(engineAddress);
  asked.setInputs(Struct.fromJavaScript(inputs));
  return asked;
}

function call(method: string, asked: unknown): Promise<any> {
  return new Promise((resolve, reject) => {
    client[method](asked, (error: Error | null, response: unknown) =>
      error === null ? resolve(response) : reject(error),
    );
  });
}
