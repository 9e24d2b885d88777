import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Template } from 'aws-cdk-lib/assertions';
import { parseModelReferences } from 'slipway';
import { Model, ModelBucket } from 'slipway/cdk';
import { beforeAll, expect, test } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import { readManifestFile } from '../../runtime/onnx/read-manifest-file';
import { evaluate } from './support/evaluate-template';
import { publishDigits, type PublishedDigits } from './support/models';
import {
  describeWithAndWithoutFlags,
  DIGITS,
  environmentOf,
  folderWith,
  newFargateService,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';

const CHOSEN = `12@sha256:${'c'.repeat(64)}`;
let digits: PublishedDigits;
beforeAll(async () => {
  digits = await publishDigits(3);
});

describeWithAndWithoutFlags('A model that is rolled out from its bucket', (newStack) => {
  const template = (): Template => {
    const stack = newStack();
    const models = new ModelBucket(stack, 'Models');
    const model = Model.rolledOutFromBucket(models, 'digits', { manifest: digits.manifestFile, maxBatchSize: 8 });
    newFargateService(stack, { plaintextInsideVpc: true, models: [model] });
    return Template.fromStack(stack);
  };
  const told = (given: Template, value: string) => {
    const bucket = resourcesOf(given, 'AWS::S3::Bucket')[0]!.id;
    const names = { ModelDigitsFrom3: value, [bucket]: 'models' };
    const text: string = evaluate(environmentOf(given)['SLIPWAY_MODELS'], names);
    const [container] = theOnly(given, 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions;
    const labels: Record<string, string> = evaluate(container.DockerLabels, names);
    return { references: parseModelReferences(text), labels };
  };

  test('is told by the version and the digest in the parameter of the stack', () => {
    expect(told(template(), CHOSEN).references).toEqual([
      {
        name: 'digits',
        version: 12,
        maxBatchSize: 8,
        folder: 's3://models/digits/12/',
        manifestSha256: 'c'.repeat(64),
      },
    ]);
  });

  test('names on its replicas what they serve, and asks for an image that checks the digest', () => {
    const given = template();
    expect(told(given, CHOSEN).labels).toMatchObject({
      'slipway.dev/models': `digits@12:sha256-${'c'.repeat(64)}`,
      'slipway.dev/contract': '2',
    });
    expect(environmentOf(given)['SLIPWAY_CONTRACT']).toBe('2');
  });

  test('runs the declared version until a rollout chooses another', () => {
    const given = template();
    const { Default } = given.toJSON()['Parameters']['ModelDigitsFrom3'] as { Default: string };
    expect(told(given, Default).references[0]).toMatchObject({ version: 3, manifestSha256: digits.manifestSha256 });
  });

  test('is sized by the facts of the declared version', () => {
    const stack = newStack();
    const model = Model.rolledOutFromBucket(new ModelBucket(stack, 'Models'), 'digits', {
      manifest: digits.manifestFile,
    });
    const { plan } = newFargateService(stack, { plaintextInsideVpc: true, models: [model] });
    expect(plan.models[0]!.facts).toEqual(digits.manifest.facts);
    expect(plan.contract).toBe(1);
  });
});

test('a version that is raised in code has a parameter of its own, so that no earlier value outlives it', async () => {
  const later = await publishDigits(4, digits.repository);
  const parametersOf = (manifest: string): string[] => {
    const stack = newStack();
    const model = Model.rolledOutFromBucket(new ModelBucket(stack, 'Models'), 'digits', { manifest });
    newFargateService(stack, { plaintextInsideVpc: true, models: [model] });
    return Object.keys(Template.fromStack(stack).toJSON()['Parameters'] as object);
  };
  expect(parametersOf(digits.manifestFile)).toContain('ModelDigitsFrom3');
  expect(parametersOf(later.manifestFile)).toContain('ModelDigitsFrom4');
  expect(parametersOf(later.manifestFile)).not.toContain('ModelDigitsFrom3');
});

test('two services of a stack that serve one model have one parameter, and move together', () => {
  const stack = newStack();
  const models = new ModelBucket(stack, 'Models');
  const declare = () => Model.rolledOutFromBucket(models, 'digits', { manifest: digits.manifestFile });
  const [one, two] = [declare(), declare()];
  expect(one.rolledOut!.parameterIn(stack)).toBe(two.rolledOut!.parameterIn(stack));
});

test('two models that would share a parameter are refused', async () => {
  const stack = newStack();
  const one = Model.rolledOutFromBucket(new ModelBucket(stack, 'Models'), 'digits', { manifest: digits.manifestFile });
  one.rolledOut!.parameterIn(stack);
  const elsewhere = Model.rolledOutFromBucket(new ModelBucket(stack, 'Others'), 'digits', {
    manifest: digits.manifestFile,
  });
  expect(() => elsewhere.rolledOut!.parameterIn(stack)).toThrow(
    /^MODEL_DUPLICATE digits: 'Stack' has a parameter 'ModelDigitsFrom3' already, for Stack\/Models\/digits@3:/,
  );

  const repository = folderWith({});
  const manifest = `${repository}/manifest.json`;
  await publishModel({ source: DIGITS, name: 'Digits', repository, version: 3, manifestFile: manifest });
  const spelled = Model.rolledOutFromBucket(new ModelBucket(stack, 'Third'), 'Digits', { manifest });
  expect(() => spelled.rolledOut!.parameterIn(stack)).toThrow('MODEL_DUPLICATE Digits');
});

test('the manifests beside the examples are of the sample model', () => {
  const model = createHash('sha256').update(readFileSync(DIGITS)).digest('hex');
  for (const example of ['model-rollout', 'multi-region']) {
    const { manifest } = readManifestFile(`cdk/examples/${example}/digits.manifest.json`);
    expect(manifest).toMatchObject({ name: 'digits', version: 1, facts: digits.manifest.facts });
    expect(manifest.files.find(({ path }) => path === 'model.onnx')!.sha256).toBe(model);
  }
});

test('a manifest is what a model is rolled out from', () => {
  const models = new ModelBucket(newStack(), 'Models');
  expect(() => Model.rolledOutFromBucket(models, 'letters', { manifest: digits.manifestFile })).toThrow(
    "describes model 'digits', not 'letters'",
  );
  expect(() => Model.rolledOutFromBucket(models, 'digits', { manifest: 'absent.json' })).toThrow('MANIFEST_INVALID');
});
