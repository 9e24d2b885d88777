import { afterAll, beforeAll, test, vi } from 'vitest';
import { copyExamples, EXAMPLES, type ExampleProjects } from '../support/pulumi-examples';
import { verifyExample } from './verify-examples';

// Each is type-checked and run twice, in processes of its own.
vi.setConfig({ testTimeout: 300_000 });

let projects: ExampleProjects;
beforeAll(() => {
  projects = copyExamples();
  vi.stubEnv('TEST_KUBECONFIG', undefined);
});
afterAll(() => {
  vi.unstubAllEnvs();
  projects.remove();
});

test.each(Object.keys(EXAMPLES))('the program of %s passes slipway verify', async (example) => {
  await verifyExample(projects, example);
});
