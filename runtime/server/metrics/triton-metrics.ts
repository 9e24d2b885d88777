import type { Metric } from 'prom-client';
import type { ModelStatistics } from '../model-statistics';
import { family, type Labels, type Sample } from './family';

export interface TritonMeasuredModel {
  readonly name: string;
  readonly version: number;
  readonly statistics: ModelStatistics;
  readonly queuedRows: number;
}

const MICROSECONDS = 1e6;

/**
 * The counters of Triton by their names there, so that its dashboards and scaling rules go on working. Names and meanings:
 * https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html
 *
 * Laying a batch out and handing its rows back is part of the run here: the two durations for it stay 0. What waits is
 * counted in rows.
 */
export function tritonFamilies(models: () => readonly TritonMeasuredModel[]): readonly Metric[] {
  const each = (samples: (model: TritonMeasuredModel, labels: Labels) => readonly Sample[]) => () =>
    models().flatMap((model) => samples(model, { model: model.name, version: String(model.version) }));
  const counter = (name: string, help: string, value: (statistics: ModelStatistics) => number): Metric =>
    family(
      'counter',
      name,
      help,
      each(({ statistics }, labels) => [[labels, value(statistics)]]),
    );
  const microseconds = (name: string, help: string, seconds: (statistics: ModelStatistics) => number): Metric =>
    counter(name, help, (statistics) => Math.round(seconds(statistics) * MICROSECONDS));
  return [
    counter('nv_inference_request_success', 'Requests that were answered', ({ success }) => success.count),
    family(
      'counter',
      'nv_inference_request_failure',
      'Requests that were not answered, by the reason',
      each(({ statistics }, labels) =>
        Object.entries(statistics.failures).map(([reason, count]): Sample => [{ ...labels, reason }, count]),
      ),
    ),
    counter('nv_inference_count', 'Rows that were run', ({ rows }) => rows),
    counter('nv_inference_exec_count', 'Runs, whatever their size', ({ executions }) => executions),
    family(
      'gauge',
      'nv_inference_pending_request_count',
      'Rows that wait for an executor',
      each(({ queuedRows }, labels) => [[labels, queuedRows]]),
    ),
    microseconds(
      'nv_inference_request_duration_us',
      'Time of the requests that were answered, from end to end',
      ({ success }) => success.seconds,
    ),
    microseconds('nv_inference_queue_duration_us', 'Time that requests waited', ({ queue }) => queue.seconds),
    microseconds('nv_inference_compute_input_duration_us', 'Part of the run here', () => 0),
    microseconds('nv_inference_compute_infer_duration_us', 'Time of runs', ({ run }) => run.seconds),
    microseconds('nv_inference_compute_output_duration_us', 'Part of the run here', () => 0),
    counter('nv_cache_num_hits_per_model', 'Requests answered without a run', ({ cacheHit }) => cacheHit.count),
    counter(
      'nv_cache_num_misses_per_model',
      'Requests that the cache could not answer',
      ({ cacheMiss }) => cacheMiss.count,
    ),
    microseconds(
      'nv_cache_hit_duration_per_model',
      'Time of answers from the cache',
      ({ cacheHit }) => cacheHit.seconds,
    ),
    microseconds(
      'nv_cache_miss_duration_per_model',
      'Time lost on looking in vain',
      ({ cacheMiss }) => cacheMiss.seconds,
    ),
  ];
}
