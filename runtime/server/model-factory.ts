import type { Logger } from 'pino';
import type { ServerSettings } from '../spec/environment';
import { readCpuQuota } from './cpu-quota';
import { Ensemble } from './ensemble';
import type { StartExecutor } from './executor';
import type { StartHooks } from './hooks/hook-thread';
import type { Metrics } from './metrics';
import type { CreateModel } from './repository/model-version';
import type { ChooseExecutorKind } from './plan-executors';
import { readSigningKeys } from './manifest-signature';
import { ResponseCache } from './response-cache';
import { ServedModel } from './served-model';
import type { ServedModels } from './served-models';
import { SharedResource } from './shared-resource';

export interface ModelFactoryOptions {
  readonly settings: ServerSettings;
  readonly startExecutor: StartExecutor;
  readonly executorKind: ChooseExecutorKind;
  readonly startHooks: StartHooks;
  /** What the factory's models become part of: where ensembles look for their steps. */
  readonly models: () => ServedModels;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Makes models that share this replica's CPU quota or GPU, and its response cache. Nothing is fetched or opened before a model is loaded. */
export function modelFactory({
  settings,
  startExecutor,
  executorKind,
  startHooks,
  models,
  metrics,
  log,
}: ModelFactoryOptions): CreateModel {
  const resource = new SharedResource(1);
  const responseCache = new ResponseCache(settings.responseCacheMiB * 2 ** 20);
  const shared = {
    settings,
    cpus: readCpuQuota(),
    resource,
    responseCache,
    startExecutor,
    executorKind,
    startHooks,
    signingKeys: readSigningKeys(settings),
    metrics,
    log,
  };
  return (version, admit) => {
    const { configuration, reference } = version;
    return configuration?.ensemble === undefined
      ? new ServedModel({ ...version, ...shared, admit })
      : new Ensemble({ name: reference.name, version: reference.version, configuration, models, metrics, log });
  };
}
