import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { acceptanceOf } from '../../../runtime/model/compare/acceptance';
import { pruneModel, type PruneMethod } from '../../../runtime/model/prune/prune-model';
import { readProvenance } from '../../../runtime/model/provenance';
import { ModelToolError } from '../../../runtime/model/tool-error';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { slipway } from '../../cli/terminal';
import { LIGHT_RESNET50, LIGHT_SQUEEZENET } from '../../support/light-models';
import { identityModel } from '../../support/onnx-models';
import { emptyFolder, written } from '../../support/written-files';

const DIGITS = 'models/digits/model.onnx';

/** The held-out digits as rows. */
function digitRows(): string {
  const { images } = JSON.parse(readFileSync('models/digits/heldout.json', 'utf8')) as { images: number[][] };
  const rows = images.map((image) => {
    const flat = image.flat();
    return JSON.stringify({ inputs: { image: [Array.from({ length: 8 }, (_, y) => flat.slice(y * 8, y * 8 + 8))] } });
  });
  return written(rows.join('\n'), 'digits.jsonl');
}

async function refusal(work: Promise<unknown>): Promise<ModelToolError> {
  const error: unknown = await work.then(
    () => new Error('it was accepted'),
    (reason: unknown) => reason,
  );
  if (!ModelToolError.is(error)) throw error;
  return error;
}

describe('a trained network', () => {
  test('that loses every tenth channel is smaller, and keeps the class of nearly every digit', async () => {
    const output = join(emptyFolder(), 'pruned.onnx');
    const method: PruneMethod = { kind: 'channels', ratio: 0.1 };
    const options = { source: DIGITS, output, method, samples: digitRows(), count: 400 };
    const { before, after, comparison, compressionPercent, accepted, files } = await pruneModel(options);
    expect(after.operations).toBeLessThan(before.operations * 0.9);
    expect(after.parameters).toBeLessThan(before.parameters * 0.9);
    expect(compressionPercent).toBeCloseTo(((before.bytes - after.bytes) / before.bytes) * 100);
    expect(after.bytes).toBe(readOnnxModel(output).facts.fileBytes);
    expect(comparison.rows).toBe(400);
    expect(comparison.agreement).toBeGreaterThanOrEqual(0.9);
    expect(accepted).toEqual({ minAgreement: 0.9 });
    expect(files).toEqual([output]);
    expect((await readProvenance(output))!.steps).toMatchObject([
      {
        command: 'slipway model prune --method channels --ratio 0.1 --scope layer --norm l2 --round-to 1',
        inputs: [{ path: 'model.onnx', sha256: readOnnxModel(DIGITS).files[0]!.sha256 }],
        outputs: [{ path: 'pruned.onnx', sha256: readOnnxModel(output).files[0]!.sha256 }],
      },
    ]);
  });

  test('that forgets too much is refused with both numbers, and leaves nothing', async () => {
    const output = join(emptyFolder(), 'pruned.onnx');
    const method: PruneMethod = { kind: 'channels', ratio: 0.9 };
    const error = await refusal(pruneModel({ source: DIGITS, output, method, samples: digitRows() }));
    expect(error.message).toMatch(
      /^TOLERANCE_EXCEEDED .*: agrees with its source on [\d.]+ % of 256 rows, and --min-agreement 0.9 asks for 90 %: nothing was written$/,
    );
    expect(error.kind).toBe('verdict');
    expect(readdirSync(join(output, '..'))).toEqual([]);
  });

  test.each<[PruneMethod, string]>([
    [{ kind: 'magnitude', sparsity: 1 }, '--sparsity: must be between 0 and 1, got 1'],
    [{ kind: 'channels', ratio: 0 }, '--ratio: must be between 0 and 1, got 0'],
    [{ kind: 'channels', ratio: 0.5, roundTo: 0.5 }, '--round-to: must be a whole number from 1 up, got 0.5'],
    [{ kind: 'n:m', keep: 4, of: 4 }, '--method n:m: must be 1 to 3 of 4, got 4'],
    [{ kind: 'n:m', keep: 1, of: 1 }, '--method n:m: must be of 2 to 1024 neighbours, got 1'],
  ])('is not pruned by %o', async (method, said) => {
    const output = join(emptyFolder(), 'pruned.onnx');
    const error = await refusal(Promise.resolve().then(() => pruneModel({ source: DIGITS, output, method })));
    expect(error.message).toBe(`OPTION_INVALID ${said}`);
  });

  test('without layers has nothing to prune', async () => {
    const source = written(identityModel());
    const output = join(emptyFolder(), 'pruned.onnx');
    for (const method of [
      { kind: 'magnitude', sparsity: 0.5 },
      { kind: 'channels', ratio: 0.5 },
    ] as const) {
      const error = await refusal(pruneModel({ source, output, method }));
      expect(error.message).toBe(`NOTHING_TO_CHANGE ${source}: has no weights of layers`);
    }
    expect(existsSync(output)).toBe(false);
  });
});

describe('what is asked of a changed model', () => {
  const both = { minAgreement: 0.9, tolerance: 0.1 };

  test.each([
    [{}, 0.5, { minAgreement: 0.9 }],
    [{}, undefined, { tolerance: 0.1 }],
    [{ tolerance: 0.3 }, 0.5, { tolerance: 0.3 }],
    [{ minAgreement: 0 }, 0.5, { minAgreement: 0 }],
    [{ minAgreement: 1, tolerance: 1 }, undefined, { minAgreement: 1, tolerance: 1 }],
  ])('when %o is given and the agreement is %s is %o', (given, agreement, asked) => {
    expect(acceptanceOf(given, both, { agreement })).toEqual(asked);
  });

  test('is no agreement where nothing has classes', () => {
    expect(() => acceptanceOf({ minAgreement: 0.9 }, both, { agreement: undefined })).toThrow(
      'OPTION_INVALID --min-agreement: asks rows to keep their class, and no output of the model has classes: give --tolerance',
    );
  });
});

describe('the commands', () => {
  test('prune, sparsify and cluster a file one after the other, with a history of every step', async () => {
    const folder = emptyFolder();
    const [pruned, sparse, clustered] = ['pruned', 'sparse', 'clustered'].map((name) =>
      join(folder, `${name}.onnx`),
    ) as [string, string, string];
    const any = ['--min-agreement', '0'];
    const first = await slipway(
      'model',
      'prune',
      DIGITS,
      '-o',
      pruned,
      '--method',
      'magnitude',
      '--sparsity',
      '0.9',
      ...any,
    );
    expect(first.status).toBe(0);
    expect(first.stdout).toContain('compression 0.00 %');
    expect(first.stdout).toContain('90 % of 4 weights are zero');
    const second = await slipway('model', 'sparsify', pruned, '-o', sparse, '--json');
    const report = JSON.parse(second.stdout) as { compressionPercent: number; comparison: { maxAbsolute: number } };
    expect(report.compressionPercent).toBeGreaterThan(60);
    expect(report.comparison.maxAbsolute).toBe(0);
    const third = await slipway('model', 'cluster', pruned, '-o', clustered, '--clusters', '16', ...any);
    expect(third.stdout).toContain('  conv3.weight  16 values');
    expect((await readProvenance(sparse))!.steps.map(({ command }) => command)).toEqual([
      'slipway model prune --method magnitude --sparsity 0.9 --scope global',
      'slipway model sparsify',
    ]);
    expect(await slipway('model', 'sparsify', pruned, '-o', sparse)).toMatchObject({ status: 3 });
  });

  test('say which layers lost channels, and how fast the network is', async () => {
    const output = join(emptyFolder(), 'pruned.onnx');
    const argv = ['--method', 'channels', '--ratio', '0.25', '--exclude', 'conv1*', '--min-agreement', '0'];
    const { stdout, status } = await slipway('model', 'prune', DIGITS, '-o', output, ...argv);
    expect(status).toBe(0);
    expect(stdout).toContain('conv2.weight  32×16×3×3 → 24×16×3×3');
    expect(stdout).toMatch(/conv1\.weight +was excluded/);
    expect(stdout).toContain('speed on this machine, one row: ');
  });

  test.each([
    [['--method', 'wishes'], "--method must be channels, magnitude or a pattern such as 2:4, got 'wishes'"],
    [['--method', 'n:m'], "--method must be channels, magnitude or a pattern such as 2:4, got 'n:m'"],
    [['--method', '2:4', '--ratio', '0.5'], '--ratio means nothing to --method 2:4'],
    [['--method', 'channels', '--sparsity', '0.5'], '--sparsity means nothing to --method channels'],
    [['--method', 'channels', '--norm', 'l3'], "--norm must be l1 or l2, got 'l3'"],
  ])('refuse %j', async (argv, said) => {
    const { status, stderr } = await slipway('model', 'prune', DIGITS, '-o', join(emptyFolder(), 'x.onnx'), ...argv);
    expect(status).toBe(2);
    expect(stderr).toContain(`slipway model prune: ${said}`);
  });
});

test.each([
  ['ResNet-50', LIGHT_RESNET50, 0.51],
  ['SqueezeNet', LIGHT_SQUEEZENET, 0.6],
] as const)('%s without three channels in ten has that much fewer operations, and runs', async (_, source, share) => {
  // Its weights are filled in by nodes: what is cut are their shapes.
  const output = join(emptyFolder(), 'pruned.onnx');
  const method: PruneMethod = { kind: 'channels', ratio: 0.3 };
  const { before, after, comparison } = await pruneModel({ source, output, method, count: 2 });
  expect(after.operations / before.operations).toBeLessThan(share);
  expect(after.parameters / before.parameters).toBeLessThan(share);
  expect(comparison.samples).toBe(2);
});
