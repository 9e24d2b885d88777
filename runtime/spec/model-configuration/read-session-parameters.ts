import type { MessageReader } from './message-reader';
import type { SessionParameters } from './model-configuration';

type Parse<T> = (text: string) => T | undefined;

const flag: Parse<boolean> = (text) =>
  ({ '0': false, '1': true, false: false, true: true })[text as '0' | '1' | 'true' | 'false'];
const count =
  (max: number): Parse<number> =>
  (text) =>
    /^\d{1,16}$/.test(text) && Number(text) <= max ? Number(text) : undefined;

function choice<T extends string>(...values: readonly T[]): Parse<T> {
  return (text) => values[/^\d$/.test(text) ? Number(text) : values.findIndex((value) => value === text)];
}

/** Each parameter of Triton's onnxruntime backend: what it is called here, how it is read, what may be written. */
const PARAMETERS = {
  intra_op_thread_count: ['intraOpThreadCount', count(1_024), 'a whole number up to 1024'],
  inter_op_thread_count: ['interOpThreadCount', count(1_024), 'a whole number up to 1024'],
  'session.disable_prepacking': ['disablePrepacking', flag, '0 or 1'],
  execution_mode: ['executionMode', choice('sequential', 'parallel'), '0 (sequential) or 1 (parallel)'],
  enable_mem_arena: ['enableMemArena', flag, '0 or 1'],
  enable_mem_pattern: ['enableMemPattern', flag, '0 or 1'],
  'memory.enable_memory_arena_shrinkage': [
    'arenaShrinkage',
    (text) => (/^(cpu|gpu):\d+(;(cpu|gpu):\d+)*$/.test(text) ? text : undefined),
    "devices such as 'cpu:0;gpu:0'",
  ],
  cudnn_conv_algo_search: [
    'cudnnConvAlgoSearch',
    choice('EXHAUSTIVE', 'HEURISTIC', 'DEFAULT'),
    '0 (EXHAUSTIVE), 1 (HEURISTIC) or 2 (DEFAULT)',
  ],
  gpu_mem_limit: ['gpuMemoryLimitBytes', count(Number.MAX_SAFE_INTEGER), 'a number of bytes'],
  arena_extend_strategy: [
    'arenaExtendStrategy',
    choice('kNextPowerOfTwo', 'kSameAsRequested'),
    '0 (kNextPowerOfTwo) or 1 (kSameAsRequested)',
  ],
  do_copy_in_default_stream: ['doCopyInDefaultStream', flag, '0 or 1'],
} as const satisfies Record<string, readonly [keyof SessionParameters, Parse<unknown>, string]>;

/** Picks out what is meant for onnxruntime. Other parameters are the model's own: its hooks get them. */
export function readSessionParameters(
  reader: MessageReader,
  parameters: ReadonlyMap<string, string>,
): SessionParameters {
  const session: Partial<Record<keyof SessionParameters, unknown>> = {};
  for (const [name, [key, parse, range]] of Object.entries(PARAMETERS)) {
    const text = parameters.get(name);
    if (text === undefined) continue;
    const value = parse(text);
    if (value === undefined) {
      throw reader.invalid('parameters', `['${name}'] must be ${range}, got '${text.slice(0, 60)}'`);
    }
    // Zero threads is onnxruntime's word for its default.
    if (!(name.endsWith('_thread_count') && value === 0)) session[key] = value;
  }
  return Object.freeze(session) as SessionParameters;
}
