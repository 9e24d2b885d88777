import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openGpuMetrics, type GpuMetrics, type GpuMetricsOptions } from '../../runtime/server/gpu-metrics';
import { toolOnPath } from '../support/tools';
import { temporaryFolder } from './harness/model-repository';

/**
 * A library with NVML's functions and a machine of four GPUs: 0 measures everything, 1 belongs to another container, 2
 * measures memory alone, as a part of a GPU does, and 3 is like 0.
 */
const STUB = `
#include <stdio.h>
typedef struct { unsigned index; } device;
static device devices[4] = {{0}, {1}, {2}, {3}};
static int opened = 0;
enum { OK = 0, UNINITIALIZED = 1, NOT_SUPPORTED = 3, NO_PERMISSION = 4 };
#define MEASURED(d) if (!opened) return UNINITIALIZED; if ((d)->index == 2) return NOT_SUPPORTED;
int nvmlInit_v2(void) { opened++; return OK; }
int nvmlShutdown(void) { opened--; return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { if (!opened) return UNINITIALIZED; *count = 4; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **handle) {
  if (index == 1) return NO_PERMISSION;
  *handle = &devices[index];
  return OK;
}
int nvmlDeviceGetUUID(device *d, char *text, unsigned length) { snprintf(text, length, "GPU-%u-abc", d->index); return OK; }
int nvmlDeviceGetName(device *d, char *text, unsigned length) { snprintf(text, length, "NVIDIA Stub %u", d->index); return OK; }
int nvmlDeviceGetUtilizationRates(device *d, unsigned *rates) { MEASURED(d) rates[0] = 37 + d->index; rates[1] = 99; return OK; }
int nvmlDeviceGetMemoryInfo(device *d, unsigned long long *memory) {
  if (!opened) return UNINITIALIZED;
  memory[0] = 85899345920ull; memory[1] = 85899345920ull - 6442450944ull; memory[2] = 6442450944ull;
  return OK;
}
int nvmlDeviceGetPowerUsage(device *d, unsigned *milliwatts) { MEASURED(d) *milliwatts = 123456; return OK; }
int nvmlDeviceGetTotalEnergyConsumption(device *d, unsigned long long *millijoules) {
  MEASURED(d) *millijoules = 5000000000123ull; return OK;
}
int nvmlDeviceGetTemperature(device *d, unsigned sensor, unsigned *celsius) {
  MEASURED(d) *celsius = sensor == 0 ? 61 : 0; return OK;
}
`;

const NEEDS_COMPILER = 'cc is not on the PATH';

function compileStub(): string {
  const folder = temporaryFolder();
  const source = path.join(folder, 'nvml.c');
  const library = path.join(folder, 'libnvidia-ml.so.1');
  writeFileSync(source, STUB);
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, source]);
  return library;
}

async function open(options: GpuMetricsOptions): Promise<GpuMetrics> {
  const metrics = await openGpuMetrics(options);
  onTestFinished(() => metrics?.close());
  return metrics!;
}

test('a GPU is read in the units that its fields name, and what it does not measure is absent', async (ctx) => {
  if (toolOnPath('cc') === undefined) return ctx.skip(NEEDS_COMPILER);
  const metrics = await open({ library: compileStub() });
  const whole = {
    memoryTotalBytes: 80 * 2 ** 30,
    memoryUsedBytes: 6 * 2 ** 30,
    powerWatts: 123.456,
    energyJoules: 5_000_000_000.123,
    temperatureCelsius: 61,
  };
  expect(await metrics.read()).toEqual([
    { index: 0, uuid: 'GPU-0-abc', name: 'NVIDIA Stub 0', utilization: 0.37, ...whole },
    {
      index: 2,
      uuid: 'GPU-2-abc',
      name: 'NVIDIA Stub 2',
      memoryTotalBytes: 80 * 2 ** 30,
      memoryUsedBytes: 6 * 2 ** 30,
    },
    { index: 3, uuid: 'GPU-3-abc', name: 'NVIDIA Stub 3', utilization: 0.4, ...whole },
  ]);
});

test.for([
  ['0', [0]],
  ['3,0', [0, 3]],
  ['GPU-3', [3]],
  ['1', []],
  ['', []],
  ['MIG-GPU-0-abc/1/0', []],
] as const)(
  'of a machine with more GPUs, those of CUDA_VISIBLE_DEVICES=%s are read',
  async ([visibleDevices, indices], ctx) => {
    if (toolOnPath('cc') === undefined) return ctx.skip(NEEDS_COMPILER);
    const metrics = await open({ library: compileStub(), visibleDevices });
    expect((await metrics.read()).map(({ index }) => index)).toEqual(indices);
  },
);

test('without the library there are no GPU metrics, and no error', async () => {
  expect(await openGpuMetrics({ library: '/nowhere/libnvidia-ml.so.1' })).toBeUndefined();
  if (!existsSync('/dev/nvidiactl')) expect(await openGpuMetrics()).toBeUndefined();
});
