import { LIMITS } from './limits';
import type { MessageReader } from './message-reader';
import type { WarmupInput, WarmupSample } from './model-configuration';
import { readDatatype, readDims } from './read-tensors';

export function readWarmup(reader: MessageReader): readonly WarmupSample[] {
  const samples = reader.children('model_warmup', readSample);
  if (samples.length > LIMITS.warmupSamples) {
    throw reader.invalid('model_warmup', `must be given at most ${LIMITS.warmupSamples} times, got ${samples.length}`);
  }
  return Object.freeze(samples);
}

function readSample(reader: MessageReader): WarmupSample {
  return reader.finish({
    name: reader.text('name') ?? '',
    batchSize: reader.integer('batch_size', 1, LIMITS.rows) ?? 1,
    // Zero is Triton's default and means once.
    count: Math.max(1, reader.integer('count', 0, LIMITS.warmupRuns) ?? 1),
    inputs: reader.map('inputs', (entry, name) => {
      const input = entry.child('value', readWarmupInput);
      if (input === undefined) throw reader.invalid('inputs', `gives '${name.slice(0, 80)}' no value`);
      return input;
    }),
  });
}

function readWarmupInput(reader: MessageReader): WarmupInput {
  const datatype = readDatatype(reader);
  if (datatype === undefined) throw reader.invalid('data_type', 'must be given');
  const dims = readDims(reader, 'dims');
  if (dims.includes(-1)) throw reader.invalid('dims', 'must be at least 1 each: a sample has a size');
  const file = reader.relativePath('input_data_file');
  const isZero = reader.boolean('zero_data') !== undefined;
  const isRandom = reader.boolean('random_data') !== undefined;
  if ([file !== undefined, isZero, isRandom].filter(Boolean).length !== 1) {
    throw reader.invalid('zero_data', "or 'random_data' or 'input_data_file' must be given, exactly one of them");
  }
  const data =
    file === undefined ? { kind: isZero ? ('zero' as const) : ('random' as const) } : { kind: 'file' as const, file };
  return reader.finish({ datatype, dims, data });
}
