import path from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import {
  assertSucceeded,
  runPulumiProgram,
  type OnInvoke,
  type OnResource,
  type Properties,
  type PulumiRecording,
} from 'slipway/testing';
import { alibabaInvoke, alibabaState } from '../support/pulumi-alibaba';
import { argumentsOf, COMPONENTS } from '../support/pulumi-arguments';
import { awsInvoke, awsState } from '../support/pulumi-aws';
import { azureInvoke, azureState } from '../support/pulumi-azure';
import { gcpInvoke, gcpState } from '../support/pulumi-gcp';
import { tencentInvoke, tencentState } from '../support/pulumi-tencent';
import { withoutSecrets } from '../support/without-secrets';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const STATES: readonly (readonly [string, OnResource, OnInvoke])[] = [
  ['aws:', awsState, awsInvoke],
  ['gcp:', gcpState, gcpInvoke],
  ['azure-native:', azureState, azureInvoke],
  ['alicloud:', alibabaState, alibabaInvoke],
  ['tencentcloud:', tencentState, tencentInvoke],
];

let up: PulumiRecording;
let made: readonly { readonly token: string; readonly argument: string; readonly number: string }[];

beforeAll(async () => {
  up = assertSucceeded(
    await runPulumiProgram({
      program: path.join(__dirname, 'programs/secret-args.ts'),
      typeCheck: false,
      timeoutSeconds: 280,
      onResource: (resource) => STATES.find(([prefix]) => resource.type.startsWith(prefix))?.[1](resource),
      onInvoke: (invoke) => STATES.find(([prefix]) => invoke.token.startsWith(prefix))?.[2](invoke),
    }),
  );
  made = up.stackOutputs['made'] as unknown as typeof made;
});

test('every input of every component was given a secret, and each component took it', () => {
  const inputs = COMPONENTS.flatMap((token) =>
    argumentsOf(token).flatMap(({ path: where, isPlain }) => (isPlain ? [] : [`${token} ${where.join('.')}`])),
  );
  expect(made.map(({ token, argument }) => `${token} ${argument}`)).toEqual(inputs);
  expect(up.stackOutputs['refused']).toEqual([]);
});

test('no property, no output and no log shows one', () => {
  const shown = up.resources.flatMap(({ urn, inputs }) => found(inputs).map((one) => `${one} in ${urn}`));
  const components = Object.entries(up.outputs).filter(([urn]) => !urn.includes('::pulumi:pulumi:Stack::'));
  const outputs = components.flatMap(([urn, values]) => found(values).map((one) => `${one} in an output of ${urn}`));
  // What the SDK logs for debugging has every input in it; the CLI covers what it knows to be secret there.
  const logs = up.logs
    .filter(({ severity }) => severity !== 'debug')
    .flatMap(({ message }) => foundIn(message).map((one) => `${one} in a log`));
  expect([...shown, ...outputs, ...logs]).toEqual([]);
});

test('where an argument matters at all, its secret reaches a resource', () => {
  const all = up.resources.map(({ inputs }) => JSON.stringify(inputs)).join('\n');
  expect(made.filter(({ number }) => !all.includes(number))).toEqual([]);
});

function found(values: Properties): readonly string[] {
  return foundIn(JSON.stringify(withoutSecrets(values)));
}

/** Which argument's secret can be read there. */
function foundIn(text: string): readonly string[] {
  const numbers = new Set(text.match(/77700\d{4}777/g) ?? []);
  return made.filter(({ number }) => numbers.has(number)).map(({ token, argument }) => `${token} ${argument}`);
}
