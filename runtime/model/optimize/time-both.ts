import type { ModelFacts } from '../../spec/model-facts';
import { modelSamples, type SampleOptions } from '../compare/model-samples';
import { compareSpeed, measureSpeed } from '../measure/measure-speed';
import { openModelFile } from '../measure/open-model-file';

/** How much faster a changed model is than its source on this machine, with batches of one row. */
export interface SpeedGain {
  readonly beforeMs: number;
  readonly afterMs: number;
  /** The median over rounds of (time of the source ÷ time of the other): 2 is twice as fast. */
  readonly ratio: number;
  /** Whether every round agrees about which one is faster: a busy machine cannot always tell. */
  readonly isSure: boolean;
}

/** Times two models in turns. */
export async function timeBoth(
  changed: string,
  source: string,
  facts: Pick<ModelFacts, 'inputs' | 'outputs'>,
  options: SampleOptions,
): Promise<SpeedGain> {
  const rows = await firstSample(facts, options);
  const [before, after] = [await openModelFile(source, facts), await openModelFile(changed, facts)];
  try {
    const [slow, fast] = (await measureSpeed(
      [
        { name: 'source', model: before, rows },
        { name: 'changed', model: after, rows },
      ],
      { batchSizes: [1], seconds: 1 },
    )) as [Awaited<ReturnType<typeof measureSpeed>>[number], Awaited<ReturnType<typeof measureSpeed>>[number]];
    const [{ ratio, isSure }] = compareSpeed(fast, slow) as [ReturnType<typeof compareSpeed>[number]];
    return { beforeMs: slow[0]!.p50Ms, afterMs: fast[0]!.p50Ms, ratio, isSure };
  } finally {
    await before.close();
    await after.close();
  }
}

async function firstSample(
  facts: Pick<ModelFacts, 'inputs' | 'outputs'>,
  options: SampleOptions,
): Promise<Parameters<typeof measureSpeed>[0][number]['rows']> {
  for await (const inputs of modelSamples(facts, { ...options, count: 1 })) return inputs;
  return [];
}
