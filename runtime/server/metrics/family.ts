import type { Metric } from 'prom-client';
import type { Histogram } from './histogram';

export type Labels = Readonly<Record<string, string | number>>;
export type Sample = readonly [labels: Labels, value: number];

interface Value {
  readonly labels: Labels;
  readonly value: number;
  readonly metricName?: string;
}

/**
 * A family that is read where its numbers are kept, when somebody asks: nothing has to be written twice, and what goes away
 * takes its series with it.
 * @param collect The samples as they are now.
 */
export function family(type: 'counter' | 'gauge', name: string, help: string, collect: () => Iterable<Sample>): Metric {
  return asMetric(type, name, help, () => Array.from(collect(), ([labels, value]) => ({ labels, value })));
}

/** @param collect The histograms as they are now, by their labels. */
export function histogramFamily(
  name: string,
  help: string,
  collect: () => Iterable<readonly [labels: Labels, histogram: Histogram]>,
): Metric {
  return asMetric('histogram', name, help, () =>
    Array.from(collect()).flatMap(([labels, histogram]) => valuesOf(name, labels, histogram)),
  );
}

function valuesOf(name: string, labels: Labels, histogram: Histogram): readonly Value[] {
  const bucket = (le: number | string, value: number): Value => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le },
    value,
  });
  return [
    ...Array.from(histogram.cumulative(), ([bound, count]) => bucket(bound, count)),
    bucket('+Inf', histogram.count),
    { metricName: `${name}_sum`, labels, value: histogram.sum },
    { metricName: `${name}_count`, labels, value: histogram.count },
  ];
}

/** What the registry of prom-client asks of a metric: a name, and `get` when somebody scrapes. */
function asMetric(type: string, name: string, help: string, values: () => readonly Value[]): Metric {
  const get = (): Promise<unknown> => Promise.resolve({ name, help, type, aggregator: 'sum', values: values() });
  return { name, help, type, get, reset: () => {} } as unknown as Metric;
}
