import { existsSync } from 'node:fs';
import { callInPool, loadKoffi, openLibrary, type ForeignFunction } from './native/koffi';

/** What one GPU says of itself; what it does not measure (a part of a GPU, most of it) is absent. */
export interface GpuReading {
  /** As NVIDIA's tools count the GPUs that this process may see. */
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Share of the last sample period (up to a second) in which a kernel ran, 0 to 1. */
  readonly utilization?: number;
  /** Of all processes on this GPU. */
  readonly memoryUsedBytes?: number;
  readonly memoryTotalBytes?: number;
  readonly powerWatts?: number;
  /** Since the driver was loaded. */
  readonly energyJoules?: number;
  readonly temperatureCelsius?: number;
}

export interface GpuMetrics {
  /** In the order of `index`. The calls run in the pool of libuv, one after the other. */
  read(): Promise<readonly GpuReading[]>;
  close(): void;
}

export interface GpuMetricsOptions {
  /** @default 'libnvidia-ml.so.1', which the NVIDIA container runtime puts into every container with a GPU */
  readonly library?: string;
  /**
   * `CUDA_VISIBLE_DEVICES`: numbers or UUIDs of the GPUs that the process uses, with commas between them. Numbers are
   * taken in the order of the bus, as CUDA does with `CUDA_DEVICE_ORDER=PCI_BUS_ID` or GPUs of one type.
   * @default every GPU that the container may see
   */
  readonly visibleDevices?: string | undefined;
}

const DEFAULT_LIBRARY = 'libnvidia-ml.so.1';

/** What NVIDIA's driver is spoken to through, on Linux and on Windows' Linux. */
const DEVICES = ['/dev/nvidiactl', '/dev/dxg'];

/**
 * Opens NVIDIA's management library. Untested on a GPU: tests call a library of their own that has the same functions.
 * @returns undefined where the library, its driver or koffi is missing.
 */
export async function openGpuMetrics(options: GpuMetricsOptions = {}): Promise<GpuMetrics | undefined> {
  // To look for the library itself would load the foreign-function interface, on every machine without a GPU, too.
  if (options.library === undefined && !DEVICES.some((device) => existsSync(device))) return undefined;
  try {
    const nvml = await loadNvml(options.library ?? DEFAULT_LIBRARY);
    if ((await callInPool(nvml.init, [])) !== SUCCESS) return undefined;
    const devices = await findDevices(nvml, options.visibleDevices);
    return {
      read: async () => {
        const readings: GpuReading[] = [];
        for (const device of devices) readings.push(await readDevice(nvml, device));
        return readings;
      },
      close: () => void nvml.shutdown(),
    };
  } catch {
    // A machine without a GPU has no such library, and that is no error.
    return undefined;
  }
}

const SUCCESS = 0;

/** Declared in `nvml.h`, https://docs.nvidia.com/deploy/nvml-api/ */
const FUNCTIONS = {
  init: ['nvmlInit_v2', []],
  shutdown: ['nvmlShutdown', []],
  getCount: ['nvmlDeviceGetCount_v2', ['void *']],
  getHandle: ['nvmlDeviceGetHandleByIndex_v2', ['uint32_t', 'void *']],
  getUuid: ['nvmlDeviceGetUUID', ['void *', 'void *', 'uint32_t']],
  getName: ['nvmlDeviceGetName', ['void *', 'void *', 'uint32_t']],
  getUtilization: ['nvmlDeviceGetUtilizationRates', ['void *', 'void *']],
  getMemory: ['nvmlDeviceGetMemoryInfo', ['void *', 'void *']],
  getPower: ['nvmlDeviceGetPowerUsage', ['void *', 'void *']],
  getEnergy: ['nvmlDeviceGetTotalEnergyConsumption', ['void *', 'void *']],
  getTemperature: ['nvmlDeviceGetTemperature', ['void *', 'uint32_t', 'void *']],
} as const satisfies Record<string, readonly [string, readonly string[]]>;

type Nvml = { readonly [Name in keyof typeof FUNCTIONS]: ForeignFunction };

async function loadNvml(path: string): Promise<Nvml> {
  const koffi = await loadKoffi();
  const library = openLibrary(koffi, path);
  const entries = Object.entries(FUNCTIONS).map(([name, [symbol, parameters]]) => [
    name,
    library.func(symbol, 'int', [...parameters]),
  ]);
  return Object.fromEntries(entries) as Nvml;
}

interface Device {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Address of NVML's own record. */
  readonly handle: bigint;
}

async function findDevices(nvml: Nvml, visible: string | undefined): Promise<readonly Device[]> {
  const count = new Uint32Array(1);
  if ((await callInPool(nvml.getCount, [count])) !== SUCCESS) return [];
  const devices: Device[] = [];
  for (let index = 0; index < count[0]!; index++) {
    const handle = new BigUint64Array(1);
    // A GPU of the machine that was not given to this container answers with an error.
    if ((await callInPool(nvml.getHandle, [index, handle])) !== SUCCESS) continue;
    const uuid = await readText(nvml.getUuid, handle[0]!);
    const name = await readText(nvml.getName, handle[0]!);
    if (uuid !== undefined) devices.push({ index, uuid, name: name ?? '', handle: handle[0]! });
  }
  const chosen = visible?.split(',').map((item) => item.trim());
  return devices.filter(({ index, uuid }) => chosen?.some((item) => isNamed(item, index, uuid)) ?? true);
}

/** CUDA takes the beginning of a UUID, too. */
function isNamed(item: string, index: number, uuid: string): boolean {
  return /^\d+$/.test(item) ? Number(item) === index : item.startsWith('GPU-') && uuid.startsWith(item);
}

async function readText(call: ForeignFunction, handle: bigint): Promise<string | undefined> {
  const bytes = new Uint8Array(96);
  if ((await callInPool(call, [handle, bytes, bytes.length])) !== SUCCESS) return undefined;
  return Buffer.from(bytes).toString('utf8', 0, bytes.indexOf(0));
}

async function readDevice(nvml: Nvml, { index, uuid, name, handle }: Device): Promise<GpuReading> {
  const numbers = async <T extends Uint32Array | BigUint64Array>(
    call: ForeignFunction,
    target: T,
    ...between: readonly number[]
  ): Promise<readonly number[] | undefined> =>
    (await callInPool(call, [handle, ...between, target])) === SUCCESS ? Array.from(target, Number) : undefined;

  const utilization = await numbers(nvml.getUtilization, new Uint32Array(2));
  const memory = await numbers(nvml.getMemory, new BigUint64Array(3));
  const power = await numbers(nvml.getPower, new Uint32Array(1));
  const energy = await numbers(nvml.getEnergy, new BigUint64Array(1));
  const temperature = await numbers(nvml.getTemperature, new Uint32Array(1), GPU_SENSOR);
  return {
    index,
    uuid,
    name,
    ...(utilization && { utilization: utilization[0]! / 100 }),
    ...(memory && { memoryTotalBytes: memory[0]!, memoryUsedBytes: memory[2]! }),
    ...(power && { powerWatts: power[0]! / 1_000 }),
    ...(energy && { energyJoules: energy[0]! / 1_000 }),
    ...(temperature && { temperatureCelsius: temperature[0]! }),
  };
}

const GPU_SENSOR = 0;
