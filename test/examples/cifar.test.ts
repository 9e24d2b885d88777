import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { findEnvironment } from '../../runtime/model/python/environment';
import { modelPython } from '../support/model-python';
import { runExample } from './run-example';

const SMALL = ['--train-rows', '1500', '--heldout-rows', '100', '--epochs', '5'];
// What so little training makes is only asked to be better than guessing.
const LENIENT = ['--min-accuracy', '25%', '--max-drop', '10%', '--speed-seconds', '1', '--speed-batches', '1'];

test(
  'a network goes from training through every tool to a canary, and a planted regression goes back',
  { timeout: 300_000 },
  async (context) => {
    for (const set of ['onnx', 'sklearn', 'torch'] as const) await modelPython(context, set);
    const hasTensorFlow = (await findEnvironment('tensorflow')) !== undefined;
    const { folder, report } = await runExample(
      'cifar',
      ...SMALL,
      ...LENIENT,
      ...(hasTensorFlow ? [] : ['--no-keras']),
    );

    const byName = Object.fromEntries(report.models.map((row: { name: string }) => [row.name, row]));
    for (const row of report.models) {
      const { correct, total, accuracyPercent, accuracyPerSpeed, p50Ms, fileBytes, compressionPercent } = row;
      expect(accuracyPercent).toBeCloseTo((correct / total) * 100, 1);
      // The row's milliseconds are rounded to four places.
      expect(accuracyPerSpeed / (accuracyPercent / p50Ms)).toBeCloseTo(1, 1);
      const original = byName['torch'].fileBytes;
      expect(compressionPercent).toBeCloseTo(((original - fileBytes) / original) * 100, 1);
    }
    expect(Object.keys(byName)).toEqual(expect.arrayContaining(['torch', 'torchscript', 'int8', 'tuned', 'student']));
    expect(byName['keras'] !== undefined).toBe(hasTensorFlow);
    expect(byName['torchscript'].accuracyPercent).toBe(byName['torch'].accuracyPercent);
    expect(byName['int8'].compressionPercent).toBeGreaterThan(65);
    expect(byName['pruned'].compressionPercent).toBeGreaterThan(60);

    const labels = readFileSync(path.join(folder, 'data/labels.txt'), 'utf8').trim().split('\n');
    const { answer, canary, promoted, regression } = report.rollout;
    expect(labels).toContain(answer.label);
    // A fixed sequence without chance in it, give or take one or two.
    expect(canary.answeredBy['1'] + canary.answeredBy['2']).toBe(100);
    expect(Math.abs(canary.answeredBy['2'] - 20)).toBeLessThanOrEqual(2);
    expect(promoted).toEqual({ '2': 10 });
    expect(regression).toMatchObject({
      gateExitStatus: 4,
      // Of 100 rows: a drop is a whole number of hundredths, as people write it.
      publishRefused: expect.stringMatching(/^error: EVALUATION_FAILED \S+: says that drop is 0\.\d\d?, /),
      servedGateExitStatus: 4,
      rollback: 'cifar stable: 2, was 3',
      answeredAfterwardsBy: { '2': 10 },
    });

    const manifest = JSON.parse(readFileSync(path.join(folder, 'repository/cifar/2/manifest.json'), 'utf8'));
    expect(manifest.evaluation.passed).toBe(true);
    expect(manifest.licence).toBe('Apache-2.0');
    const commands = manifest.provenance.steps.map(({ command }: { command: string }) => command.split(' ')[2]);
    expect(commands).toEqual(['convert', 'quantize', 'compile']);
    expect(existsSync(path.join(folder, 'repository/cifar/4'))).toBe(false);
  },
);
