import type { ServerSettings } from '../spec/environment';
import { SpecError } from '../spec/errors';
import type {
  ModelConfiguration,
  QueuePolicy as ConfiguredQueuePolicy,
} from '../spec/model-configuration/model-configuration';

/** How requests of one model version wait and share runs. Plain data: every default is filled in. */
export interface BatchPolicy {
  /** Most rows of one run; 1 when requests must not be joined. */
  readonly maxBatchRows: number;
  /** The only numbers of rows that run, ascending; a smaller batch is padded. Empty: every number. */
  readonly allowedBatchSizes: readonly number[];
  /** Ascending. A batch is cut to the largest of these that waits, and then waits no longer. Empty: the largest batch. */
  readonly preferredBatchSizes: readonly number[];
  /** How long a batch that has no preferred size waits for more rows while an executor is free. */
  readonly maxQueueDelayMs: number;
  /** Whether answers leave in the order in which requests came. */
  readonly preserveOrdering: boolean;
  /** Levels run from 1, the highest, to this. */
  readonly priorityLevels: number;
  /** Of a request that names none, or one that there is not. */
  readonly defaultPriorityLevel: number;
  /** By priority level, that of level 1 first. */
  readonly queues: readonly QueuePolicy[];
  /** Rows that may wait. */
  readonly queueDepthRows: number;
  /** Seconds of work that may wait; Infinity: as much as deadlines allow. */
  readonly queueSeconds: number;
}

export interface QueuePolicy {
  /** What becomes of a request whose queue timeout passes: refused, or run after those whose has not. */
  readonly timeoutAction: 'REJECT' | 'DELAY';
  /** Infinity: none. */
  readonly defaultTimeoutMs: number;
  /** Whether a request may ask for a shorter one. */
  readonly allowTimeoutOverride: boolean;
  /** In requests; Infinity: the bounds of the whole queue alone. */
  readonly maxQueueSize: number;
}

type Settings = Pick<
  ServerSettings,
  'allowedBatchSizes' | 'maxQueueDelayMicroseconds' | 'queueDepthRows' | 'queueSeconds'
>;

/**
 * What a model's own configuration says, and else the server's settings.
 * @param maxBatchSize Most rows of one run; undefined when requests of this model must not be joined.
 */
export function planBatching(
  settings: Settings,
  maxBatchSize: number | undefined,
  configuration?: Pick<ModelConfiguration, 'allowedBatchSizes' | 'dynamicBatching'>,
): BatchPolicy {
  const dynamic = configuration?.dynamicBatching;
  const levels = Math.max(1, dynamic?.priorityLevels ?? 0);
  const allowed = allowedSizes(settings, maxBatchSize ?? 1, configuration?.allowedBatchSizes ?? []);
  const maxBatchRows = allowed.at(-1) ?? maxBatchSize ?? 1;
  return Object.freeze({
    maxBatchRows,
    allowedBatchSizes: allowed,
    preferredBatchSizes: (dynamic?.preferredBatchSizes ?? []).filter((size) => size <= maxBatchRows),
    maxQueueDelayMs: (dynamic?.maxQueueDelayMicroseconds ?? settings.maxQueueDelayMicroseconds) / 1_000,
    preserveOrdering: dynamic?.preserveOrdering ?? false,
    priorityLevels: levels,
    defaultPriorityLevel: Math.max(1, dynamic?.defaultPriorityLevel ?? 1),
    queues: Array.from({ length: levels }, (_, i) =>
      queuePolicy(dynamic?.priorityQueuePolicies.get(i + 1) ?? dynamic?.defaultQueuePolicy),
    ),
    queueDepthRows: settings.queueDepthRows,
    queueSeconds: settings.queueSeconds ?? Infinity,
  });
}

/**
 * `allowedBatchSizes` of the settings, as in `1,2,4,8`, ascending.
 * @throws SpecError ENVIRONMENT_INVALID
 */
export function parseBatchSizes(text: string): readonly number[] {
  const sizes = text.split(',').map((size) => Number(/^\s*([1-9]\d{0,5})\s*$/.exec(size)?.[1]));
  if (sizes.some(Number.isNaN)) {
    throw new SpecError(
      'ENVIRONMENT_INVALID',
      'SLIPWAY_ALLOWED_BATCH_SIZES',
      `must be numbers of rows as in 1,2,4,8, got '${text}'`,
    );
  }
  return [...new Set(sizes)].sort((a, b) => a - b);
}

/** What a batch of so many rows is padded to. */
export function paddedRows({ allowedBatchSizes }: BatchPolicy, rows: number): number {
  for (const size of allowedBatchSizes) if (size >= rows) return size;
  return rows;
}

/** Rows of the batches that are run before anybody is served, ascending: where sizes are few, live traffic brings no new one. */
export function warmUpSizes({ allowedBatchSizes, maxBatchRows }: BatchPolicy): readonly number[] {
  return allowedBatchSizes.length > 0 ? allowedBatchSizes : [maxBatchRows];
}

function allowedSizes(settings: Settings, maxBatchSize: number, configured: readonly number[]): readonly number[] {
  if (maxBatchSize === 1) return [];
  const all =
    configured.length > 0
      ? configured
      : settings.allowedBatchSizes === undefined
        ? []
        : parseBatchSizes(settings.allowedBatchSizes);
  return all.filter((size) => size <= maxBatchSize);
}

// A client that shortens its own wait harms nobody; a configuration decides for itself, as in Triton.
function queuePolicy(configured: ConfiguredQueuePolicy | undefined): QueuePolicy {
  return {
    timeoutAction: configured?.timeoutAction ?? 'REJECT',
    defaultTimeoutMs: (configured?.defaultTimeoutMicroseconds ?? 0) / 1_000 || Infinity,
    allowTimeoutOverride: configured?.allowTimeoutOverride ?? true,
    maxQueueSize: (configured?.maxQueueSize ?? 0) || Infinity,
  };
}
