import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { exitStatusOf } from '../../runtime/cli/exit-status';
import { digestPath } from '../../runtime/model/digest-path';
import { checkLicence } from '../../runtime/model/licence';
import { digestPreprocessing, readPreprocessingFile } from '../../runtime/model/preprocessing-file';
import { provenanceFile, readProvenance, writeProvenance, type ToolStep } from '../../runtime/model/provenance';
import { publishModel, type PublishOptions } from '../../runtime/model/publish-model';
import { SPDX_EXCEPTIONS, SPDX_LICENCES } from '../../runtime/model/spdx-ids';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { publishedPreprocessingDigest } from '../../runtime/preprocess/preprocessing-digest';
import { buildModel, identityModel, matmulModel, node, value } from '../support/onnx-models';
import { emptyFolder, written } from '../support/written-files';
import { refusal } from './refusal';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const MODEL = matmulModel();
const publish = (options: Partial<PublishOptions>, model = MODEL): ReturnType<typeof publishModel> =>
  publishModel({ source: written(model), name: 'm', repository: emptyFolder(), ...options });
const code = async (options: Partial<PublishOptions>, model = MODEL): Promise<string> => {
  const error = await refusal(publish(options, model));
  return `${exitStatusOf(error)} ${error.message.replaceAll(/\/\S*\//g, '')}`;
};

const EVIDENCE = {
  model: [{ path: 'model.onnx', sha256: sha256(MODEL) }],
  dataset: { name: 'rows.npz', sha256: 'd'.repeat(64), rows: 300 },
  task: 'classification',
  metrics: { accuracy: 0.93 },
  gates: [{ metric: 'accuracy', bound: 'min', limit: 0.9, value: 0.93, passed: true }],
  passed: true,
  evaluatedAt: '2026-01-02T03:04:05Z',
  tools: { slipway: '0.1.0' },
};

describe('labels without a configuration', () => {
  const two = buildModel({
    node: [node('Identity', ['x'], ['left']), node('Identity', ['x'], ['right'])],
    input: [value('x', 'FP32', ['n', 3])],
    output: [value('left', 'FP32', ['n', 3]), value('right', 'FP32', ['n', 3])],
  });
  const labelsFile = (): string => written('a\nb\nc\n', 'labels.txt');

  test('are of the output that has so many classes, and lie beside the model', async () => {
    const { manifest, uri } = await publish({ labelsFile: labelsFile() });
    expect(manifest.labels).toEqual({ output: { file: 'labels.txt' } });
    expect(readFileSync(path.join(fileURLToPath(uri), 'labels.txt'), 'utf8')).toBe('a\nb\nc\n');
    const named = await publish({ labelsFile: labelsFile(), labelsOutput: 'right' }, two);
    expect(named.manifest.labels).toEqual({ right: { file: 'labels.txt' } });
  });

  test('are refused where they fit none, or several, or mean something else to a server', async () => {
    expect(await code({ labelsFile: written('a\nb\n', 'labels.txt') })).toMatch(
      /^3 LABELS_UNCLEAR .*no output has so many/,
    );
    expect(await code({ labelsFile: labelsFile() }, two)).toMatch(
      /^3 LABELS_UNCLEAR .*--labels <output>=<file> \(left, right\)/,
    );
    expect(await code({ labelsFile: labelsFile(), labelsOutput: 'up' }, two)).toContain("has no output 'up'");
    expect(await code({ labelsFile: written('a\nb\nc\n', 'config.json') })).toMatch(/^3 FILE_NAME_RESERVED/);
  });
});

describe('preprocessing', () => {
  const image = identityModel({ shape: ['n', 8, 8, 3] });
  const preprocessing = (entry: unknown, name = 'p.json'): string => written(JSON.stringify(entry), name);

  test('is filled in from the model, so that a manifest leaves nothing to guess', async () => {
    const { manifest } = await publish({ preprocessingFile: preprocessing({ kind: 'image' }) }, image);
    expect(manifest.preprocessing).toEqual({
      input: {
        kind: 'image',
        width: 8,
        height: 8,
        resize: 'stretch',
        channels: 'rgb',
        layout: 'NHWC',
        scale: 1 / 255,
        mean: [0],
        deviation: [1],
      },
    });
  });

  test('takes its tokenizer into the version', async () => {
    const folder = emptyFolder();
    mkdirSync(path.join(folder, 'hf'));
    copyFileSync(path.join(__dirname, '../fixtures/tokenizers/bpe.json'), path.join(folder, 'hf/tokenizer.json'));
    const file = path.join(folder, 'p.yaml');
    writeFileSync(file, 'kind: text\ntokenizer: hf/tokenizer.json\nmaxLength: 16\n');
    const ids = identityModel({ datatype: 'INT64', shape: ['n', 'length'] });
    const { manifest } = await publish({ preprocessingFile: file }, ids);
    expect(manifest.preprocessing).toMatchObject({ input: { tokenizer: 'tokenizer.json', feeds: { ids: 'input' } } });
    expect(manifest.files.map((each) => each.path)).toContain('tokenizer.json');
  });

  const REFUSED: readonly [what: string, entry: unknown, message: string][] = [
    ['a misspelt field', { kind: 'image', men: [0] }, 'preprocessing.input must be made of kind, width'],
    ['another size than the model', { kind: 'image', width: 9 }, "such that the input's shape [n, 8, 8, 3] holds it"],
    [
      'a size without bound',
      { kind: 'image', width: 100_000 },
      'preprocessing.input.width must be a whole number from 1 to 4096',
    ],
    ['a deviation of nothing', { kind: 'image', deviation: [0] }, 'none of them 0'],
    ['an unknown kind', { kind: 'audio' }, "preprocessing.input.kind must be 'image', 'text' or 'columns'"],
    ['another input', { picture: { kind: 'image' } }, 'named like an input of the model (input)'],
    [
      'text for numbers',
      { kind: 'text', tokenizer: 'no.json', maxLength: 4 },
      "names the file 'no.json', and nothing is there",
    ],
  ];
  test('that a server could not use is refused, by field', async () => {
    for (const [what, entry, message] of REFUSED) {
      const refused = await code({ preprocessingFile: preprocessing(entry) }, image);
      expect(refused, what).toMatch(/^3 PREPROCESSING_INVALID/);
      expect(refused, what).toContain(message);
    }
    expect(await code({ preprocessingFile: written('a: [1', 'p.yaml') })).toContain('must be JSON or YAML');
    // Ten lines of aliases are a billion objects.
    const bomb = written(
      `a: &a [x, x]\n${'bcdefgh'.replaceAll(/./g, (c, i: number) => `${c}: &${c} [*${'abcdefg'[i]}, *${'abcdefg'[i]}]\n`)}`,
      'p.yaml',
    );
    expect(await code({ preprocessingFile: bomb })).toMatch(/PREPROCESSING_INVALID .*alias/i);
    expect(await code({ preprocessingFile: '/nowhere/p.json' })).toMatch(/^3 FILE_UNREADABLE/);
  });

  test('lets the golden input be what a user has, and refuses it where there is none', async () => {
    expect(await code({ goldenFile: written('x', 'cat.png') })).toMatch(/^3 GOLDEN_FILE_INVALID .*--preprocessing/);
    const columns = preprocessing({ kind: 'columns', columns: ['a', 'b', 'c', 'd'].map((name) => ({ name })) });
    const golden = (rows: unknown): string => written(JSON.stringify(rows), 'g.json');
    const row = { a: 1, b: 2, c: 3, d: 4 };
    const { manifest } = await publish({ preprocessingFile: columns, goldenFile: golden([row, row]) });
    expect(manifest.golden!.inputs[0]!.shape).toEqual([2, 4]);
    expect(await code({ preprocessingFile: columns, goldenFile: golden({ a: 1 }) })).toContain(
      "must have 'b' in each record",
    );
    expect(await code({ preprocessingFile: columns, goldenFile: golden({ ...row, d: 'x' }) })).toContain(
      'must hold FP64',
    );
  });
});

describe('an evaluation', () => {
  const report = (change: object): string => written(JSON.stringify({ ...EVIDENCE, ...change }), 'report.json');

  test('of this very file goes into the manifest, and the rest of its report does not', async () => {
    const { manifest } = await publish({ evaluationFile: report({ confusion: [[1]] }) });
    expect(manifest.evaluation).toEqual(EVIDENCE);
  });

  test('of another file is refused', async () => {
    const other = { model: [{ path: 'model.onnx', sha256: 'e'.repeat(64) }] };
    expect(await code({ evaluationFile: report(other) })).toMatch(
      /^3 EVALUATION_MISMATCH .*evaluate the file that is published/,
    );
    const absent = { model: [{ path: 'weights.bin', sha256: 'e'.repeat(64) }] };
    expect(await code({ evaluationFile: report(absent) })).toMatch(
      /EVALUATION_MISMATCH .*a model without 'model.onnx'/,
    );
  });

  test('that failed is not published, with the exit status of a verdict', async () => {
    const gates = [{ metric: 'accuracy', bound: 'min', limit: 0.95, value: 0.93, passed: false }];
    expect(await code({ evaluationFile: report({ gates, passed: false }) })).toMatch(
      /^4 EVALUATION_FAILED .*accuracy is 0.93, and its gate asks for at least 0.95/,
    );
  });

  test('whose verdict is not what its numbers say is refused', async () => {
    const lie = (change: object): object => ({ gates: [{ ...EVIDENCE.gates[0], ...change }] });
    expect(await code({ evaluationFile: report(lie({ limit: 0.99 })) })).toContain(
      'gates[0].passed must be false, as its numbers say',
    );
    expect(await code({ evaluationFile: report(lie({ bound: 'max' })) })).toContain(
      'must be false, as its numbers say',
    );
    expect(await code({ evaluationFile: report({ passed: false }) })).toContain(
      'passed must be true, as its gates say',
    );
    expect(await code({ evaluationFile: report({ dataset: {} }) })).toContain('evaluation.dataset.name must be a name');
    expect(await code({ evaluationFile: written('{', 'r.json') })).toMatch(/^3 EVALUATION_INVALID .*must be JSON/);
    expect(await code({ evaluationFile: '/nowhere/r.json' })).toMatch(/^3 FILE_UNREADABLE/);
  });
});

describe('an evaluation of a model with preprocessing', () => {
  const columns = (mean: number, order: readonly string[] = ['name', 'mean']): string => {
    const entry = (name: string): object => Object.fromEntries(order.map((field) => [field, { name, mean }[field]]));
    const how = { kind: 'columns', columns: ['a', 'b', 'c', 'd'].map(entry) };
    return written(JSON.stringify(how), 'p.json');
  };
  const digestOf = async (file: string): Promise<string> =>
    digestPreprocessing(await readPreprocessingFile(file, readOnnxModel(written(MODEL)).facts));
  const report = async (preprocessingFile?: string): Promise<string> => {
    const preprocessing =
      preprocessingFile === undefined ? {} : { preprocessing: { sha256: await digestOf(preprocessingFile) } };
    return written(JSON.stringify({ ...EVIDENCE, ...preprocessing }), 'report.json');
  };

  test('is published with the preprocessing that it was measured with, whoever wrote its fields in which order', async () => {
    const { manifest } = await publish({
      preprocessingFile: columns(3, ['mean', 'name']),
      evaluationFile: await report(columns(3)),
    });
    expect(manifest.evaluation!.preprocessing).toEqual({ sha256: await digestOf(columns(3)) });
    expect(publishedPreprocessingDigest(manifest)).toBe(manifest.evaluation!.preprocessing!.sha256);
  });

  test('is refused with another one, with none, and where it was measured with none', async () => {
    const refused = async (preprocessingFile: string | undefined, evaluationFile: string): Promise<string> =>
      code({ evaluationFile, ...(preprocessingFile === undefined ? {} : { preprocessingFile }) });
    expect(await refused(columns(3), await report(columns(4)))).toMatch(
      /^3 EVALUATION_MISMATCH .*was measured with another preprocessing \([0-9a-f]{64}\) than is published/,
    );
    expect(await refused(undefined, await report(columns(3)))).toMatch(
      /^3 EVALUATION_MISMATCH .*and none is published: give --preprocessing/,
    );
    expect(await refused(columns(3), await report())).toMatch(
      /^3 EVALUATION_MISMATCH .*was not measured with the preprocessing that is published/,
    );
    expect(
      await code({ evaluationFile: written(JSON.stringify({ ...EVIDENCE, preprocessing: {} }), 'r.json') }),
    ).toMatch(/^3 EVALUATION_INVALID .*evaluation.preprocessing must be an object with sha256/);
  });

  test('counts the bytes of a tokenizer', async () => {
    const folder = emptyFolder();
    const tokenizer = path.join(folder, 'tokenizer.json');
    copyFileSync(path.join(__dirname, '../fixtures/tokenizers/bpe.json'), tokenizer);
    const file = path.join(folder, 'p.yaml');
    writeFileSync(file, 'kind: text\ntokenizer: tokenizer.json\nmaxLength: 16\n');
    const ids = readOnnxModel(written(identityModel({ datatype: 'INT64', shape: ['n', 'length'] }))).facts;
    const before = await digestPreprocessing(await readPreprocessingFile(file, ids));
    expect(await digestPreprocessing(await readPreprocessingFile(file, ids))).toBe(before);
    writeFileSync(tokenizer, `${readFileSync(tokenizer, 'utf8')}\n`);
    expect(await digestPreprocessing(await readPreprocessingFile(file, ids))).not.toBe(before);
  });
});

describe('a licence', () => {
  test('is an SPDX expression, with its identifiers as the list spells them', () => {
    const as = (text: string): string => checkLicence(text, '--licence');
    expect(as('apache-2.0')).toBe('Apache-2.0');
    expect(as('(mit or LicenseRef-Ours) AND GPL-2.0-only WITH classpath-exception-2.0'.replace(' or ', ' OR '))).toBe(
      '(MIT OR LicenseRef-Ours) AND GPL-2.0-only WITH Classpath-exception-2.0',
    );
    expect(as('EPL-1.0+')).toBe('EPL-1.0+');
  });

  test.each([
    ['Apache 2.0', "'Apache' is no SPDX licence"],
    ['Apache-2', "did you mean 'Apache-2.0'?"],
    ['MIT OR', 'ends too early'],
    ['(MIT', 'ends too early'],
    ['MIT)', "got ')' where AND, OR or WITH belongs"],
    ['MIT WITH MIT', "'MIT' is no SPDX exception"],
    ['', 'ends too early'],
    ['('.repeat(2_000), 'at most 1024 characters'],
  ])('%s is refused', (text, message) => {
    expect(() => checkLicence(text, '--licence')).toThrow('LICENCE_INVALID --licence: ');
    expect(() => checkLicence(text, '--licence')).toThrow(message);
  });

  test('is looked up in the list that CycloneDX has', () => {
    const schema = path.join(
      __dirname,
      '../../node_modules/@cyclonedx/cyclonedx-library/res/schema/spdx.SNAPSHOT.schema.json',
    );
    const { enum: ids } = JSON.parse(readFileSync(schema, 'utf8')) as { enum: string[] };
    expect([...SPDX_LICENCES, ...SPDX_EXCEPTIONS]).toEqual(ids);
  });
});

describe('a history', () => {
  const step = (
    inputs: readonly string[],
    outputs: readonly string[],
    command = 'slipway model optimize',
  ): ToolStep => ({
    command,
    tools: { slipway: '0.1.0' },
    inputs,
    outputs,
    at: new Date('2026-01-02T03:04:05Z'),
  });

  test('grows by a step with every tool, and is published with the model', async () => {
    const folder = emptyFolder();
    const [net, first, second] = ['net.pt', 'first.onnx', 'second.onnx'].map((name) => path.join(folder, name));
    writeFileSync(net!, 'weights');
    writeFileSync(first!, identityModel());
    writeFileSync(second!, MODEL);
    await writeProvenance(step([net!], [first!], 'slipway model convert'));
    await writeProvenance(step([first!], [second!]));
    const { manifest } = await publish({ source: second! });
    expect(manifest.provenance).toEqual(await readProvenance(second!));
    expect(manifest.provenance!.source).toEqual([{ path: 'net.pt', sha256: sha256(Buffer.from('weights')) }]);
    expect(manifest.provenance!.steps.map(({ command }) => command)).toEqual([
      'slipway model convert',
      'slipway model optimize',
    ]);
    expect(manifest.provenance!.steps[1]!.outputs).toEqual([{ path: 'second.onnx', sha256: sha256(MODEL) }]);
    // Changed by hand since: what is written of it is of another file.
    writeFileSync(second!, identityModel());
    expect(await code({ source: second! })).toMatch(/^3 PROVENANCE_MISMATCH/);
    const third = path.join(folder, 'third.onnx');
    writeFileSync(third, MODEL);
    expect((await writeProvenance(step([second!], [third]))).steps).toHaveLength(1);
  });

  test('that is none is refused by name', async () => {
    const source = written(MODEL);
    writeFileSync(provenanceFile(source), '{"source": []}');
    await expect(readProvenance(source)).rejects.toThrow('PROVENANCE_INVALID');
    writeFileSync(provenanceFile(source), '{');
    await expect(readProvenance(source)).rejects.toThrow('must be JSON');
    await expect(writeProvenance(step(['/nowhere/net.pt'], [source]))).rejects.toThrow(
      'FILE_UNREADABLE /nowhere/net.pt',
    );
  });

  test('knows a folder by what sha256sum prints of its files', async () => {
    const folder = emptyFolder();
    mkdirSync(path.join(folder, 'b'));
    writeFileSync(path.join(folder, 'b/x'), '1');
    writeFileSync(path.join(folder, 'a'), '2');
    const lines = `${sha256(Buffer.from('2'))}  a\n${sha256(Buffer.from('1'))}  b/x\n`;
    expect(await digestPath(folder)).toBe(sha256(Buffer.from(lines)));
  });
});
