import { parseArgs } from 'node:util';

/** What both kinds of work are told. */
interface CommonOptions {
  /** `http://127.0.0.1:8080` */
  readonly server: string;
  /** `s3://<bucket>/<prefix>/` */
  readonly results: string;
  readonly concurrency: number;
  readonly requestDeadlineSeconds: number;
  readonly maxBodyBytes: number;
}

export interface QueueOptions extends CommonOptions {
  readonly kind: 'queue';
  readonly queueUrl: string;
  /** `s3://<bucket>/<prefix>` each. */
  readonly inputs: readonly string[];
  readonly visibilitySeconds: number;
}

export interface BatchOptions extends CommonOptions {
  readonly kind: 'batch';
  readonly inputs: string;
  readonly model: string;
  readonly version?: number;
  /** This part of the inputs, of so many. */
  readonly shard: { readonly index: number; readonly of: number };
}

export const USAGE = `usage:
  worker.mjs queue --queue <url> --results s3://<bucket>/<prefix>/ [--inputs s3://<bucket>/<prefix>]… --visibility-seconds <n>
  worker.mjs batch --inputs s3://<bucket>/<prefix>/ --results s3://<bucket>/<prefix>/ --model <name> [--version <n>]
                   [--shard-of <n>] [--shard <i>]
both take:
  --server <url>               http://127.0.0.1:8080
  --concurrency <n>            32: requests at once
  --deadline-seconds <n>       30: the server's request deadline
  --max-body-mib <n>           64: of one input`;

export class UsageError extends Error {}

/**
 * Reads the command line.
 * @param environment Where AWS Batch says which child of an array job this is.
 * @throws UsageError
 */
export function readOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): QueueOptions | BatchOptions {
  const { values, positionals } = parse(args);
  const [kind] = positionals;
  if (kind !== 'queue' && kind !== 'batch') {
    throw new UsageError(`must begin with 'queue' or 'batch', got '${kind ?? ''}'`);
  }
  const common = {
    server: values.server ?? 'http://127.0.0.1:8080',
    results: folder('--results', values.results),
    concurrency: whole('--concurrency', values.concurrency ?? '32', 1, 10_000),
    requestDeadlineSeconds: numeric('--deadline-seconds', values['deadline-seconds'] ?? '30', 0.1, 3_600),
    maxBodyBytes: Math.floor(numeric('--max-body-mib', values['max-body-mib'] ?? '64', 0.001, 2_047) * 2 ** 20),
  };
  if (kind === 'queue') {
    return {
      ...common,
      kind: 'queue',
      queueUrl: needed('--queue', values.queue),
      inputs: (values.inputs ?? []).map((place) => objects('--inputs', place)),
      visibilitySeconds: whole('--visibility-seconds', values['visibility-seconds'], 1, 43_200),
    };
  }
  const of = whole('--shard-of', values['shard-of'] ?? '1', 1, 10_000);
  // https://docs.aws.amazon.com/batch/latest/userguide/array_index_example.html
  const index = values.shard ?? environment['AWS_BATCH_JOB_ARRAY_INDEX'] ?? '0';
  return {
    ...common,
    kind: 'batch',
    inputs: folder('--inputs', values.inputs?.[0]),
    model: needed('--model', values.model),
    ...(values.version === undefined
      ? {}
      : { version: whole('--version', values.version, 1, Number.MAX_SAFE_INTEGER) }),
    shard: { index: whole('--shard', index, 0, of - 1), of },
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        server: text,
        results: text,
        concurrency: text,
        'deadline-seconds': text,
        'max-body-mib': text,
        queue: text,
        inputs: { type: 'string', multiple: true },
        'visibility-seconds': text,
        model: text,
        version: text,
        'shard-of': text,
        shard: text,
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function needed(option: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new UsageError(`${option} is missing`);
  return value;
}

function objects(option: string, value: string | undefined): string {
  if (!/^s3:\/\/[^/]+\//.test(needed(option, value))) {
    throw new UsageError(`${option} must be s3://<bucket>/<prefix>, got '${value}'`);
  }
  return value!;
}

function folder(option: string, value: string | undefined): string {
  const uri = objects(option, value);
  return uri.endsWith('/') ? uri : `${uri}/`;
}

function numeric(option: string, value: string | undefined, min: number, max: number): number {
  const number = Number(needed(option, value));
  if (!(number >= min && number <= max))
    throw new UsageError(`${option} must be from ${min} to ${max}, got '${value}'`);
  return number;
}

function whole(option: string, value: string | undefined, min: number, max: number): number {
  const number = numeric(option, value, min, max);
  if (!Number.isInteger(number)) throw new UsageError(`${option} must be a whole number, got '${value}'`);
  return number;
}
