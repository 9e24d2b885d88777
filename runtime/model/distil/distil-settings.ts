import { ModelToolError } from '../tool-error';

/** What decides how a student learns; the defaults are those of `DistilOptions`. */
export interface DistilSettings {
  readonly temperature: number;
  readonly alpha: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly seed: number;
  readonly device: 'auto' | 'cpu' | 'cuda';
}

/**
 * Every setting with its value.
 * @throws ModelToolError OPTION_INVALID naming the flag
 */
export function settingsOf(options: Partial<DistilSettings>): DistilSettings {
  const {
    temperature = 4,
    alpha = 0.7,
    epochs = 10,
    batchSize = 64,
    learningRate = 0.001,
    weightDecay = 0.01,
    seed = 0,
    device = 'auto',
  } = options;
  const refuse = (option: string, expected: string, got: unknown): void => {
    throw new ModelToolError('OPTION_INVALID', option, `must be ${expected}, got ${String(got)}`);
  };
  const isWhole = (value: number, from: number) => Number.isSafeInteger(value) && value >= from;
  if (!(temperature > 0 && temperature <= 1_000)) refuse('--temperature', 'above 0 and at most 1000', temperature);
  if (!(alpha >= 0 && alpha <= 1)) refuse('--alpha', 'from 0 to 1', alpha);
  if (!isWhole(epochs, 1)) refuse('--epochs', 'a whole number from 1 up', epochs);
  if (!isWhole(batchSize, 1)) refuse('--batch-size', 'a whole number from 1 up', batchSize);
  if (!(learningRate > 0 && learningRate <= 10)) refuse('--learning-rate', 'above 0 and at most 10', learningRate);
  if (!(weightDecay >= 0 && weightDecay <= 10)) refuse('--weight-decay', 'from 0 to 10', weightDecay);
  if (!isWhole(seed, 0)) refuse('--seed', 'a whole number from 0 up', seed);
  if (!['auto', 'cpu', 'cuda'].includes(device)) refuse('--device', 'auto, cpu or cuda', device);
  return { temperature, alpha, epochs, batchSize, learningRate, weightDecay, seed, device };
}
