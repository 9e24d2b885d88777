import type { ModelFacts } from '../../spec/model-facts';
import { openModelFile, type ModelFileOptions } from './open-model-file';
import type { RunnableModel } from './runnable-model';

/** A model that is open only while it is run, and gives its memory back when it rests. */
export interface RestingModel extends RunnableModel {
  rest(): Promise<void>;
}

/**
 * A model file that is opened by its first run after a rest: twenty models can take turns in the memory of one.
 * @throws as `openModelFile`, by `run`
 */
export function restingModel(
  path: string,
  { inputs, outputs }: Pick<ModelFacts, 'inputs' | 'outputs'>,
  options: ModelFileOptions = {},
): RestingModel {
  let opened: RunnableModel | undefined;
  const rest = async (): Promise<void> => {
    const model = opened;
    opened = undefined;
    await model?.close();
  };
  return {
    inputs,
    outputs,
    run: async (tensors) => {
      opened ??= await openModelFile(path, { inputs, outputs }, options);
      return opened.run(tensors);
    },
    rest,
    close: rest,
  };
}
