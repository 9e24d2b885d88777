import type { Metric } from 'prom-client';
import { METRICS } from '../../spec/metric-names';
import type { GpuReading } from '../gpu-metrics';
import { family, type Labels, type Sample } from './family';

type Read = () => readonly GpuReading[];

/** What the GPUs say of themselves; what a GPU does not measure has no series. */
export function gpuFamilies(read: Read): readonly Metric[] {
  const labels = ({ index, uuid }: GpuReading): Labels => ({ gpu: String(index), uuid });
  return [
    gauge(
      METRICS.gpuUtilization,
      'Share of the last second in which the GPU ran something',
      read,
      labels,
      (gpu) => gpu.utilization,
    ),
    gauge(
      METRICS.gpuMemoryUsed,
      'Memory of the GPU that is taken, by all processes',
      read,
      labels,
      (gpu) => gpu.memoryUsedBytes,
    ),
    gauge(METRICS.gpuMemoryTotal, 'Memory of the GPU', read, labels, (gpu) => gpu.memoryTotalBytes),
    gauge(METRICS.gpuPower, 'What the GPU draws', read, labels, (gpu) => gpu.powerWatts),
    counter(
      METRICS.gpuEnergy,
      'What the GPU drew since its driver was loaded',
      read,
      labels,
      (gpu) => gpu.energyJoules,
    ),
    gauge(METRICS.gpuTemperature, 'How warm the GPU is', read, labels, (gpu) => gpu.temperatureCelsius),
  ];
}

/** The same by Triton's names. */
export function tritonGpuFamilies(read: Read): readonly Metric[] {
  const labels = ({ uuid }: GpuReading): Labels => ({ gpu_uuid: uuid });
  return [
    gauge(
      'nv_gpu_utilization',
      'Share of the last second in which the GPU ran something',
      read,
      labels,
      (gpu) => gpu.utilization,
    ),
    gauge('nv_gpu_memory_used_bytes', 'Memory of the GPU that is taken', read, labels, (gpu) => gpu.memoryUsedBytes),
    gauge('nv_gpu_memory_total_bytes', 'Memory of the GPU', read, labels, (gpu) => gpu.memoryTotalBytes),
    gauge('nv_gpu_power_usage', 'Watts that the GPU draws', read, labels, (gpu) => gpu.powerWatts),
    counter('nv_energy_consumption', 'Joules since the driver was loaded', read, labels, (gpu) => gpu.energyJoules),
  ];
}

type Field = (gpu: GpuReading) => number | undefined;

function gauge(name: string, help: string, read: Read, labels: (gpu: GpuReading) => Labels, field: Field): Metric {
  return family('gauge', name, help, () => samples(read, labels, field));
}

function counter(name: string, help: string, read: Read, labels: (gpu: GpuReading) => Labels, field: Field): Metric {
  return family('counter', name, help, () => samples(read, labels, field));
}

function samples(read: Read, labels: (gpu: GpuReading) => Labels, field: Field): readonly Sample[] {
  return read().flatMap((gpu): Sample[] => {
    const value = field(gpu);
    return value === undefined ? [] : [[labels(gpu), value]];
  });
}
