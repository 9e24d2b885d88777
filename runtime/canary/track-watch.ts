import { METRICS, type Outcome } from '../spec/metric-names';
import { CounterGains, type CounterSample } from './counter-gains';
import type { Prometheus, PrometheusSample } from './prometheus';
import type { TrackCounts } from './verdict';

const FAILED: readonly Outcome[] = ['error', 'deadline', 'unavailable', 'queue_full'];
const REFUSED: readonly Outcome[] = ['client_error'];
/** A client that went away says nothing about the model. */
const WELL: readonly Outcome[] = ['ok'];

/** What one Service of a namespace answers, from the first look on. */
export class TrackWatch {
  readonly #outcomes = new CounterGains();
  readonly #buckets = new CounterGains();
  readonly #requests: string;
  readonly #durations: string;

  /** @param name Of the Service, by which Prometheus knows the replicas: label `service`, beside `namespace`. */
  constructor(
    private readonly prometheus: Prometheus,
    namespace: string,
    readonly name: string,
  ) {
    const track = `namespace="${namespace}",service="${name}"`;
    this.#requests = `sum by (instance, outcome) (${METRICS.requests}{${track}})`;
    this.#durations = `sum by (instance, le) (${METRICS.requestDuration}_bucket{${track},outcome="ok"})`;
  }

  /** @throws PrometheusError when one of the two questions has no answer; nothing is counted then. */
  async look(): Promise<void> {
    const [requests, durations] = await Promise.all([
      this.prometheus.query(this.#requests),
      this.prometheus.query(this.#durations),
    ]);
    this.#outcomes.look(counters(requests, ({ outcome }) => outcome));
    this.#buckets.look(counters(durations, ({ le }) => (le === undefined ? undefined : String(boundOf(le)))));
  }

  counts(): TrackCounts {
    const sum = (outcomes: readonly Outcome[]): number =>
      outcomes.reduce((total, outcome) => total + this.#outcomes.gained(outcome), 0);
    const [failed, refused] = [sum(FAILED), sum(REFUSED)];
    const durations = this.#buckets
      .groups()
      .map((bound) => [Number(bound), this.#buckets.gained(bound)] as const)
      .sort(([one], [other]) => one - other);
    return {
      name: this.name,
      answered: failed + refused + sum(WELL),
      failed,
      refused,
      durations: ascending(durations),
    };
  }
}

function counters(
  samples: readonly PrometheusSample[],
  groupOf: (labels: Readonly<Record<string, string>>) => string | undefined,
): readonly CounterSample[] {
  return samples.flatMap(({ labels, value }) => {
    const group = groupOf(labels);
    return group === undefined || !Number.isFinite(value) ? [] : [{ series: labels['instance'] ?? '', group, value }];
  });
}

/** Prometheus writes the last bound as it writes it in its text format. */
function boundOf(le: string): number {
  return le === '+Inf' ? Infinity : Number(le);
}

/** A replica that was scraped between two buckets would leave counts that fall from one bound to the next. */
function ascending(durations: readonly (readonly [number, number])[]): TrackCounts['durations'] {
  let most = 0;
  return durations.map(([bound, count]) => [bound, (most = Math.max(most, count))] as const);
}
