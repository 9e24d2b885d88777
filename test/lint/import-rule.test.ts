import { join } from 'node:path';
import { ESLint } from 'eslint';
import { describe, expect, test } from 'vitest';

// The rule at hand alone, and no types: that takes a second where the whole configuration takes thirty.
const eslint = new ESLint({
  cwd: join(__dirname, '../..'),
  ruleFilter: ({ ruleId }) => ruleId.includes('restricted'),
  overrideConfig: [{ files: ['**/*.ts'], languageOptions: { parserOptions: { project: null } } }],
});

const findings = async (file: string, text: string): Promise<string[]> => {
  const [result] = await eslint.lintText(text, { filePath: file });
  return result!.messages.map(({ ruleId, message }) => ruleId ?? message);
};

describe('the linter refuses', () => {
  test.each([
    ['runtime/spec/errors.ts', "import { readFileSync } from 'node:fs';\nexport const x = readFileSync;\n"],
    ['runtime/spec/errors.ts', "import * as yaml from 'yaml';\nexport const x = yaml;\n"],
    ['runtime/spec/errors.ts', "import * as onnx from '../onnx/tensor-encoding';\nexport const x = onnx;\n"],
    ['cdk/index.ts', "import * as p from '../pulumi';\nexport const x = p;\n"],
    ['cdk/index.ts', "import * as p from '@pulumi/pulumi';\nexport const x = p;\n"],
    ['runtime/worker/queue-worker.ts', "import * as s from '../server/errors';\nexport const x = s;\n"],
    ['runtime/worker/queue-worker.ts', "import * as c from 'aws-cdk-lib';\nexport const x = c;\n"],
    ['runtime/smoke-test/compare.ts', "import * as m from '../model/publish-model';\nexport const x = m;\n"],
    ['pulumi/index.ts', "import * as c from '../cdk';\nexport const x = c;\n"],
    ['pulumi/index.ts', "import * as c from 'aws-cdk-lib';\nexport const x = c;\n"],
    ['runtime/onnx/tensor-encoding.ts', "import * as ort from 'onnxruntime-node';\nexport const x = ort;\n"],
    ['runtime/testing/index.ts', "import * as t from '../../test/support/tools';\nexport const x = t;\n"],
  ])('%s: %s', async (file, text) => {
    expect(await findings(file, text)).not.toEqual([]);
  });
});

test('the linter lets through what the architecture allows', async () => {
  expect(
    await findings('cdk/index.ts', "import { DEFAULTS } from '../runtime/spec';\nexport const x = DEFAULTS;\n"),
  ).toEqual([]);
  expect(
    await findings('runtime/smoke-test/compare.ts', "import * as m from '../model/tolerance';\nexport const x = m;\n"),
  ).toEqual([]);
  expect(
    await findings(
      'runtime/onnx/tensor-encoding.ts',
      "import { DEFAULTS } from '../spec';\nexport const x = DEFAULTS;\n",
    ),
  ).toEqual([]);
});
