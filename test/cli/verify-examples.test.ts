import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { copyExamples, EXAMPLES, type ExampleProjects } from '../support/pulumi-examples';
import { verifyExample } from './verify-examples';

// Each is type-checked and run twice, in processes of its own.
vi.setConfig({ testTimeout: 300_000 });

const CLOUDS = ['alibaba-gpu', 'aws-gpu', 'azure-gpu', 'gcp-gpu', 'tencent-gpu'];

let projects: ExampleProjects;
beforeAll(() => {
  projects = copyExamples();
  vi.stubEnv('TEST_KUBECONFIG', undefined);
});
afterAll(() => {
  vi.unstubAllEnvs();
  projects.remove();
});

test.each(CLOUDS)(
  'the program of %s passes slipway verify with no account, and nobody says what its cloud answers',
  async (example) => {
    await verifyExample(projects, example);
  },
);

test('no cloud is left out', () => {
  expect(
    Object.keys(EXAMPLES)
      .filter((name) => name.endsWith('-gpu'))
      .sort(),
  ).toEqual(CLOUDS);
});
