import { showJson } from '../onnx/show-json';
import { malformed } from './json-body';

/** What a request's own parameters ask of the server. */
export interface RequestParameters {
  /** 1 is the highest, 0 the model's default. */
  readonly priority?: number;
  readonly timeoutMicroseconds?: number;
  /** All outputs in binary that do not say otherwise. */
  readonly binaryOutputs: boolean;
  /** Everything that nobody has reserved: for hooks. Without a prototype. */
  readonly others?: Readonly<Record<string, string | number | boolean>>;
}

/** Names that Triton keeps for itself; stateful models, which use the first three, are not served. */
const RESERVED = new Set(['sequence_id', 'sequence_start', 'sequence_end', 'headers', 'binary_data_output']);
const RESERVED_PREFIX = 'triton_';

/**
 * Reads the parameters of an inference request (schedule_policy and parameters extensions of the Open Inference Protocol).
 * @param parameters By name. 64-bit numbers may come as bigint.
 * @throws ServerError MALFORMED_REQUEST naming the parameter, and what it must be.
 */
export function readRequestParameters(parameters: Iterable<readonly [string, unknown]>): RequestParameters {
  let priority: number | undefined;
  let timeoutMicroseconds: number | undefined;
  let binaryOutputs = false;
  let others: Record<string, string | number | boolean> | undefined;
  for (const [name, value] of parameters) {
    if (name === 'priority') priority = wholeNumber(name, value);
    else if (name === 'timeout') timeoutMicroseconds = wholeNumber(name, value);
    else if (name === 'binary_data_output') binaryOutputs = flag(name, value);
    else if (!RESERVED.has(name) && !name.startsWith(RESERVED_PREFIX)) {
      others ??= Object.create(null) as Record<string, string | number | boolean>;
      others[name] = scalar(name, value);
    }
  }
  return { priority, timeoutMicroseconds, binaryOutputs, others };
}

function wholeNumber(name: string, value: unknown): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0) return number;
  throw malformed(`${name} of the request must be a whole number from 0 up, got ${showJson(value)}`);
}

function flag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw malformed(`${name} of the request must be true or false, got ${showJson(value)}`);
}

function scalar(name: string, value: unknown): string | number | boolean {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return Number(value);
  throw malformed(
    `parameter ${showJson(name)} of the request must be a string, a number, true or false, got ${showJson(value)}`,
  );
}
