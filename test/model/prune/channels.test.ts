import * as fc from 'fast-check';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModelFile } from '../../../runtime/model/measure/open-model-file';
import { chooseChannels, type ChannelChoice } from '../../../runtime/model/prune/channels/choose-channels';
import { followChannels } from '../../../runtime/model/prune/channels/follow-channels';
import { removeChannels } from '../../../runtime/model/prune/channels/remove-channels';
import { generateGoldenInput } from '../../../runtime/model/golden-input';
import { readEditableModel } from '../../../runtime/onnx/edit/editable-model';
import { floatsOfTensor, setTensorFloats } from '../../../runtime/onnx/edit/tensor-elements';
import { writeModel } from '../../../runtime/onnx/edit/write-model';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { BLOCKS, HEADS, randomCnn, type NetworkPlan } from '../../support/random-cnn';
import { emptyFolder, written } from '../../support/written-files';

const CHOICE: ChannelChoice = { ratio: 0.4, scope: 'layer', norm: 'l2', roundTo: 1 };
const plans = fc.record({
  seed: fc.integer({ min: 1, max: 1_000_000 }),
  blocks: fc.array(fc.constantFrom(...BLOCKS), { maxLength: 5 }),
  head: fc.constantFrom(...HEADS),
});

async function outputOf(path: string): Promise<Float32Array> {
  const { facts } = readOnnxModel(path);
  const model = await openModelFile(path, facts, { threads: 1 });
  try {
    const [output] = await model.run(generateGoldenInput(facts));
    return output!.data as Float32Array;
  } finally {
    await model.close();
  }
}

/** The pruned network, and the source with the same channels multiplied by zero wherever a layer takes them. */
function prunedAndZeroed(path: string, choice: ChannelChoice) {
  const [pruned, zeroed] = ['pruned.onnx', 'zeroed.onnx'].map((name) => join(emptyFolder(), name)) as [string, string];
  const source = readEditableModel(path);
  const graph = followChannels(source);
  const axes = graph.finishedAxes();
  const removed = chooseChannels(graph, axes, choice);
  const isGone = (channel: number) => removed.has(graph.sets.setOf(channel));

  const model = readEditableModel(path);
  const layers = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);
  const weights = new Set(
    model.proto.graph.node.filter(({ opType }) => layers.has(opType)).map(({ input }) => input[1]),
  );
  for (const { constant, axis, channels, isMade } of axes) {
    const tensor = model.proto.graph.initializer.find(({ name }) => name === constant.name)!;
    if (isMade || !weights.has(constant.name)) continue;
    const values = floatsOfTensor(model, tensor)!;
    const stride = constant.dims.slice(axis + 1).reduce((product, size) => product * size, 1);
    values.forEach((_, i) => {
      if (isGone(channels[Math.floor(i / stride) % channels.length]!)) values[i] = 0;
    });
    setTensorFloats(tensor, constant.dims, values);
  }
  writeModel(model, zeroed);
  const changed = removeChannels(graph, axes, removed);
  writeModel(source, pruned);
  return { pruned, zeroed, changed };
}

function expectClose(got: Float32Array, expected: Float32Array) {
  const largest = Math.max(...expected.map(Math.abs), 1e-6);
  const worst = Math.max(...got.map((each, i) => Math.abs(each - expected[i]!)));
  expect(got.length).toBe(expected.length);
  expect(worst / largest).toBeLessThan(1e-4);
}

describe('a network that lost channels', () => {
  test.each(BLOCKS.flatMap((block) => HEADS.slice(0, 1).map((head) => [block, head] as const)))(
    'gives what its source gives when nobody takes them: %s, %s',
    async (block, head) => {
      const path = written(randomCnn({ seed: 7, blocks: [block, 'plain', block], head }));
      const { pruned, zeroed, changed } = prunedAndZeroed(path, CHOICE);
      expect(changed.length).toBeGreaterThan(0);
      expect(readOnnxModel(pruned).facts.weightBytes).toBeLessThan(readOnnxModel(path).facts.weightBytes);
      expectClose(await outputOf(pruned), await outputOf(zeroed));
    },
  );

  test('does so whatever it is made of, and by whichever choice', async () => {
    const choices = fc.record({
      ratio: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      scope: fc.constantFrom('layer' as const, 'global' as const),
      norm: fc.constantFrom('l1' as const, 'l2' as const),
      roundTo: fc.constantFrom(1, 2, 4),
    });
    await fc.assert(
      fc.asyncProperty(plans, choices, async (plan: NetworkPlan, choice) => {
        const path = written(randomCnn(plan));
        const { pruned, zeroed } = prunedAndZeroed(path, choice);
        expectClose(await outputOf(pruned), await outputOf(zeroed));
      }),
      { numRuns: process.env['SLIPWAY_TEST_LONG'] === '1' ? 1_000 : 60 },
    );
  });
});
