import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { checkResources } from 'slipway/pulumi/policy';
import {
  findDescendants,
  findResource,
  isUnknown,
  loggedErrors,
  reveal,
  runPulumiProgram,
  type Properties,
  type PropertyValue,
  type PulumiRecording,
} from 'slipway/testing';
import { awsInvoke, awsState } from '../support/pulumi-aws';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000 });

// What the component sees by itself is refused before a child is declared.
test.each([
  ['pool that is too small', 'POOL_TOO_SMALL '],
  [
    'model that is too large for the GPU',
    'GPU_MEMORY instanceTypes[0]: the models need 77601 MiB of GPU memory, one L4 of g6.xlarge has 22888',
  ],
  ['model that is too large for the memory given', 'MEMORY memoryMiB: '],
  ['number that only an update knows', 'VALUE_NOT_PLAIN minReplicas: must be known while the program runs'],
  ['name that only an update knows', 'VALUE_NOT_PLAIN serviceName: '],
  ['list that only an update knows', 'VALUE_NOT_PLAIN instanceTypes: '],
  ['secret that everybody is to read', 'VALUE_NOT_PLAIN prometheusUrl: '],
])('a preview refuses a %s in one line', async (wrong, message) => {
  const recording = await preview(wrong);
  const errors = loggedErrors(recording);
  expect(errors).toEqual([expect.stringContaining(message)]);
  expect(errors[0]!.trim().split('\n')).toHaveLength(1);
  expect(recording.exitCode).toBe(32);
  expect(findDescendants(recording, findResource(recording, 'slipway:index:InferenceService').urn)).toEqual([]);
});

// What takes a look at the whole stack, or at what a name means, is the policy pack's, which stops the same preview.
test.each([
  ['pool that is not there', 'gpu-pool-exists', "is placed on pool 'l40', the stack has 'l4'"],
  ['secret in a variable', 'no-plain-secret', "variable OIDC_CLIENT_SECRET of container 'server' holds a secret"],
])('the policies stop the preview of a %s', async (wrong, rule, message) => {
  const { exitCode, resources } = await preview(wrong);
  expect(exitCode).toBe(0);
  const declared = resources.filter(({ custom }) => custom);
  const { findings } = checkResources(
    declared.map(({ inputs, ...resource }) => ({ ...resource, props: reveal(inputs) as Properties })),
    {},
    (value) => isUnknown(value as PropertyValue),
  );
  expect(findings.filter(({ level }) => level === 'mandatory')).toEqual([
    expect.objectContaining({ rule, message: expect.stringContaining(message) }),
  ]);
});

function preview(wrong: string): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs/wrong-programs.ts'),
    typeCheck: false,
    preview: true,
    onResource: awsState,
    onInvoke: awsInvoke,
    config: { wrong, password: { secret: 'hunter2' } },
  });
}
