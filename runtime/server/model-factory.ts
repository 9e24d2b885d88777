import type { Logger } from 'pino';
import type { ServerSettings } from '../spec/environment';
import { readCpuQuota } from './cpu-quota';
import type { StartExecutor } from './executor';
import type { Metrics } from './metrics';
import type { CreateModel } from './repository/model-version';
import { ServedModel } from './served-model';
import { SharedResource } from './shared-resource';

export interface ModelFactoryOptions {
  readonly settings: ServerSettings;
  readonly startExecutor: StartExecutor;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Makes models that share this replica's CPU quota or GPU. Nothing is fetched or opened before a model is loaded. */
export function modelFactory({ settings, startExecutor, metrics, log }: ModelFactoryOptions): CreateModel {
  const resource = new SharedResource(settings.executors);
  const cpus = readCpuQuota();
  const intraOpThreads = settings.intraOpThreads ?? Math.max(1, Math.floor(cpus / settings.executors));
  const shared = { settings, intraOpThreads, resource, startExecutor, metrics, log };
  return (version, admit) => new ServedModel({ ...version, ...shared, admit });
}
