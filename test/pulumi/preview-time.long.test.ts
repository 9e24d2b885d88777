import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { PLAIN, planInferenceService, renderKubernetesObjects } from 'slipway';
import { assertSucceeded, runPulumiProgram, type PulumiRecording } from 'slipway/testing';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { digitsModel } from './programs/digits-facts';

// Times of one machine: run it where nothing else runs. The numbers are printed.
vi.setConfig({ testTimeout: 900_000 });

test('a preview of twenty services takes at most twice as long as one of the same objects by hand', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-preview-'));
  try {
    const declared = path.join(folder, 'declared.json');
    const { recording } = await preview('twenty-services');
    const objects = recording.resources.filter(({ type }) => type.startsWith('kubernetes:'));
    writeFileSync(declared, JSON.stringify(objects.map(({ type, name, inputs }) => ({ type, name, inputs }))));
    expect(objects).toHaveLength(20 * 6);

    const rounds = [];
    // Taken in turns, since machines get slower and faster.
    for (let round = 0; round < 5; round++) {
      const ours = await preview('twenty-services');
      const byHand = await preview('twenty-services-by-hand', { declared });
      expect(typesOf(byHand.recording)).toEqual(typesOf(ours.recording));
      rounds.push({ ours: ours.seconds, byHand: byHand.seconds, ratio: ours.seconds / byHand.seconds });
    }
    rounds.sort((a, b) => a.ratio - b.ratio);
    for (const { ours, byHand, ratio } of rounds) {
      console.log(`ours ${ours.toFixed(2)} s, by hand ${byHand.toFixed(2)} s: ${ratio.toFixed(2)}`);
    }
    expect(rounds[2]!.ratio).toBeLessThanOrEqual(2);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a thousand services are planned and rendered within a second', () => {
  const { facts, files } = readOnnxModel(digitsModel);
  const seconds = Array.from({ length: 5 }, () => {
    const began = performance.now();
    for (let i = 0; i < 1_000; i++) {
      const models = [{ name: 'digits', version: 1, facts, files }];
      const plan = planInferenceService({ name: `service-${i}`, models, minReplicas: 1, maxReplicas: 4 });
      renderKubernetesObjects<string>(plan, {
        ...PLAIN,
        models: { digits: { folder: 's3://team-models/digits/1/' } },
        namespace: 'inference',
        image: `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`,
        clusterName: 'kubernetes',
      });
    }
    return (performance.now() - began) / 1_000;
  }).sort((a, b) => a - b);
  console.log(`${seconds.map((time) => time.toFixed(2)).join(', ')} s for 1,000 services`);
  expect(seconds[2]).toBeLessThanOrEqual(1);
});

async function preview(program: string, config: Record<string, string> = {}) {
  const began = performance.now();
  const recording = assertSucceeded(
    await runPulumiProgram({
      program: path.join(__dirname, `programs/${program}.ts`),
      typeCheck: false,
      preview: true,
      config,
    }),
  );
  return { recording, seconds: (performance.now() - began) / 1_000 };
}

function typesOf({ resources }: PulumiRecording): string[] {
  return resources
    .map(({ type }) => type)
    .filter((type) => type.startsWith('kubernetes:'))
    .sort();
}
