import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../runtime/cli/commands';

const ROOT = path.join(__dirname, '../..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const page = read('docs/model/reference.md');
const report = JSON.parse(read('examples/cifar/report.json'));

test('the table of the page is that of the recorded run', async () => {
  const { markdownTable } = await import(path.join(ROOT, 'examples/cifar/table.mjs'));
  expect(page).toContain(`<!-- table of examples/cifar/report.json -->\n${markdownTable(report.models)}\n`);
});

test('what the page says of machine and rollout is what the recorded run saw', () => {
  const { machine, rollout, settings } = report;
  expect(page).toContain(`${machine.processor}, ${machine.cores} cores, ONNX Runtime ${machine.onnxruntime}`);
  expect(page).toContain(`${settings.trainRows.toLocaleString('en-US')} such pictures`);
  const { answer, canary, regression } = rollout;
  expect(page).toContain(`\`{"label": "${answer.label}", "score": ${answer.score}, …}\``);
  expect(page).toContain(`${canary.answeredBy['2']} of ${canary.requests} requests`);
  expect(page).toContain(regression.publishRefused);
  expect(page).toContain(`${(regression.servedAccuracy * 100).toFixed(2)} %`);
  expect(page).toContain(regression.rollback);
});

test('the figures of the recorded run are what their formulas make of them', () => {
  const [original] = report.models;
  for (const {
    correct,
    total,
    accuracyPercent,
    fileBytes,
    compressionPercent,
    p50Ms,
    accuracyPerSpeed,
  } of report.models) {
    expect(accuracyPercent).toBeCloseTo((correct / total) * 100, 2);
    expect(compressionPercent).toBeCloseTo(((original.fileBytes - fileBytes) / original.fileBytes) * 100, 1);
    expect(accuracyPerSpeed / (accuracyPercent / p50Ms)).toBeCloseTo(1, 1);
  }
});

test('every command that the page names is one', () => {
  const known = COMMANDS.map(({ name }) => name);
  const named = [...page.matchAll(/`(?:slipway )?(model [a-z]+)/g)].map(([, name]) => name!);
  expect(named.length).toBeGreaterThan(8);
  expect(named.filter((name) => !known.includes(name))).toEqual([]);
});
