export const OPENMETRICS_TYPE = 'application/openmetrics-text';

/**
 * Prometheus' text format as OpenMetrics 1.0: families of counters without the suffix of their samples, bounds of buckets as
 * floating-point numbers, no empty lines, an end. Every counter must be called `…_total`.
 */
export function toOpenMetrics(exposition: string): string {
  const text = exposition
    .replace(/^# HELP (\S+)_total (.*\n# TYPE )\1_total counter$/gm, '# HELP $1 $2$1 counter')
    .replace(/([{,]le="\d+)"/g, '$1.0"')
    .replace(/\n{2,}/g, '\n');
  return `${text}# EOF\n`;
}
