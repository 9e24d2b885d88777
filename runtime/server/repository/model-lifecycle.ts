import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ServerSettings } from '../../spec/environment';
import { SpecError } from '../../spec/errors';
import { assertModelName } from '../../spec/model-repository';
import { ServerError } from '../errors';
import { findRepositoryModels, modelOrigin, readReferences, type Asking } from '../find-models';
import { forEachLimited } from '../for-each-limited';
import type { ModelMemory } from '../model-memory';
import { SourceError } from '../../sources/model-source';
import type { ServedModels } from '../served-models';
import { wasJustWritten } from './file-fingerprint';
import type { CreateModel, ModelVersion } from './model-version';
import { RepositoryReconciler, versionOf } from './repository-reconciler';
import { RepositoryWatcher } from './repository-watcher';
import {
  NO_FALLBACK,
  repositoryUri,
  scanModel,
  scanRepository,
  type FoundModel,
  type ScanOptions,
} from './scan-repository';
import { VersionLoader } from './version-loader';
import { parseVersionPolicy } from './version-policy';

/** Models that are fetched and opened side by side: each holds its weights twice while it is opened. */
const MODELS_AT_ONCE = 4;
/** How long a look at the repository may go on asking. */
const LOOK_TIMEOUT_MS = 60_000;

/** Loading and unloading by name, for whoever may ask. */
export interface RepositoryControl {
  /**
   * Loads the versions that the policy chooses, and replaces those whose files have changed.
   * @param configuration Takes the place of the one that lies beside the versions, until the model is unloaded.
   * @throws ServerError FORBIDDEN in a deployment, MODEL_UNKNOWN, LOAD_FAILED or MODEL_MEMORY with the reasons.
   */
  load(name: string, configuration?: string): Promise<void>;
  /**
   * Takes a model from requests and closes it when the last one is done. It stays unloaded until it is loaded by name.
   * @throws ServerError FORBIDDEN in a deployment, MODEL_UNKNOWN.
   */
  unload(name: string, options?: UnloadOptions): Promise<void>;
}

export interface UnloadOptions {
  /** For an ensemble: whether the models of its steps go with it. @default false */
  readonly dependents?: boolean;
}

export interface ModelLifecycleOptions {
  readonly settings: ServerSettings;
  readonly models: ServedModels;
  readonly create: CreateModel;
  readonly memory: ModelMemory;
  readonly onReload: (model: string, outcome: 'ok' | 'failed') => void;
  readonly log: Logger;
}

/** The models of a replica from its start to its end: which there are, and what becomes of them while it runs. */
export class ModelLifecycle implements RepositoryControl {
  private readonly loader: VersionLoader;
  private readonly reconciler: RepositoryReconciler;
  private watcher: RepositoryWatcher | undefined;
  private readonly closing = new AbortController();
  /** One change at a time: two that look for memory at once would both find it. */
  private current: Promise<unknown> = Promise.resolve();
  private readonly unloaded = new Set<string>();
  private readonly overrides = new Map<string, string>();
  /** What the ensembles of the repository are made of, by name. */
  private readonly steps = new Map<string, readonly string[]>();

  constructor(private readonly options: ModelLifecycleOptions) {
    this.loader = new VersionLoader(options);
    this.reconciler = new RepositoryReconciler({ ...options, loader: this.loader });
  }

  /**
   * Finds and loads all models of the start. Resolves when each is ready or known to be unable to.
   * @throws StartupError, or SpecError for what cannot be read.
   */
  async start(signal: AbortSignal): Promise<void> {
    const origin = modelOrigin(this.options.settings);
    if (origin.kind === 'references') {
      const references = await readReferences(origin.models);
      return this.loadAll(
        references.map((reference) => ({ version: { reference } })),
        signal,
      );
    }
    const asking = this.asking(signal);
    const found = await findRepositoryModels(origin.uri, this.scanOptions(asking));
    const versions = await Promise.all(found.map((model) => this.begin(model, asking)));
    await this.loadAll(versions.flat(), signal);
    if (!this.options.settings.hotReload) return;
    for (const model of found) {
      const options = { asking: () => asking, loading: () => signal, isExplicit: true };
      await this.reconciler.fallBack(model, options);
    }
  }

  /** Follows the repository from now on, where the settings say so. */
  watch(): void {
    const { hotReload, reloadSeconds, modelRepository, models } = this.options.settings;
    if (!hotReload || modelRepository === undefined || models !== undefined) return;
    this.watcher = new RepositoryWatcher({
      uri: repositoryUri(modelRepository),
      seconds: reloadSeconds,
      look: () => this.exclusively(() => this.look(modelRepository)),
      log: this.options.log,
    });
    this.watcher.start();
  }

  async load(name: string, configuration?: string): Promise<void> {
    const repository = this.assertControllable();
    await this.exclusively(async () => {
      const before = this.overrides.get(name);
      if (configuration !== undefined) this.overrides.set(name, configuration);
      try {
        await this.loadNow(repository, name);
        this.unloaded.delete(name);
      } catch (error) {
        if (before === undefined) this.overrides.delete(name);
        else this.overrides.set(name, before);
        throw error;
      }
    });
  }

  async unload(name: string, { dependents = false }: UnloadOptions = {}): Promise<void> {
    this.assertControllable();
    const { models, settings, log } = this.options;
    const { requestDeadlineSeconds } = settings;
    await this.exclusively(() => {
      if (!models.has(name)) throw new ServerError('MODEL_UNKNOWN', `no model '${name}' here`);
      const names = [name, ...(dependents ? (this.steps.get(name) ?? []) : [])];
      for (const each of names) {
        this.unloaded.add(each);
        this.overrides.delete(each);
        this.reconciler.unload(each);
        log.info({ model: each }, 'model unloaded');
      }
    });
    // Requests that run end by their deadline; what does not end even then is no reason to let the caller wait for ever.
    await this.loader.settled(requestDeadlineSeconds * 1_000);
  }

  /** Nothing changes by itself any more; what is being loaded goes on. */
  stop(): void {
    this.watcher?.stop();
  }

  /** Ends what goes on. */
  close(): void {
    this.stop();
    this.closing.abort(new ServerError('DRAINING', 'the server is shutting down'));
  }

  private async begin(model: FoundModel, asking: Asking): Promise<readonly StartedVersion[]> {
    this.remember(model);
    return Promise.all(
      this.reconciler.begin(model).map(async (found) => {
        // Read before the files are: a change in between is seen as one.
        const fingerprint = await this.fingerprintAtStart(model, found, asking);
        return { version: versionOf(model, found), done: () => this.reconciler.began(model, found, fingerprint) };
      }),
    );
  }

  private async fingerprintAtStart(
    model: FoundModel,
    version: FoundModel['versions'][number],
    asking: Asking,
  ): Promise<string> {
    const { hotReload, reloadSeconds, adminPort } = this.options.settings;
    if (!hotReload) return adminPort === undefined ? '' : this.reconciler.fingerprint(model, version, asking);
    let fingerprint = await this.reconciler.fingerprint(model, version, asking);
    // Somebody may be copying at this very moment. What was published is known by its digests, and an object is there whole.
    while (!version.hasManifest && (await wasJustWritten(version.folder, 2 * reloadSeconds, asking))) {
      await wait(1_000 * reloadSeconds, undefined, { signal: asking.signal });
      const before = fingerprint;
      fingerprint = await this.reconciler.fingerprint(model, version, asking);
      if (fingerprint === before) break;
    }
    return fingerprint;
  }

  private async loadAll(versions: readonly StartedVersion[], signal: AbortSignal): Promise<void> {
    const { log } = this.options;
    log.info({ models: versions.map(({ version }) => nameOf(version)) }, 'loading models');
    const started = versions.map(({ version, done }) => ({ ...this.loader.begin(version), done }));
    await forEachLimited(started, MODELS_AT_ONCE, async ({ load, done }) => {
      await load(signal);
      done?.();
    });
  }

  private async look(repository: string): Promise<boolean> {
    const asking = this.asking(this.within(LOOK_TIMEOUT_MS));
    const unreadable = new Map<string, SourceError>();
    const onUnreadable = (name: string, error: SourceError): void => void unreadable.set(name, error);
    const found = await scanRepository(repository, { ...this.scanOptions(asking), onUnreadable });
    // A volume that was not mounted looks just so.
    if (found.length + unreadable.size === 0) {
      throw new SourceError('missing', `${repository} holds no model any more`);
    }
    const names = new Set([...found.map(({ name }) => name), ...unreadable.keys()]);
    const vanished = this.reconciler.names.filter((name) => !names.has(name)).map(vanishedModel);
    let isSettled = true;
    for (const model of [...inOrder(found), ...vanished]) {
      if (this.unloaded.has(model.name)) continue;
      this.closing.signal.throwIfAborted();
      try {
        isSettled = (await this.reconcile(model, false)).isSettled && isSettled;
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        unreadable.set(model.name, error);
      }
    }
    for (const [name, error] of unreadable) throw new SourceError(error.failure, `model '${name}': ${error.message}`);
    return isSettled;
  }

  private async loadNow(repository: string, name: string): Promise<void> {
    let model: FoundModel | undefined;
    try {
      // Before it becomes part of a path.
      assertModelName(name, 'name');
      model = await scanModel(repository, name, this.scanOptions(this.asking(this.within(LOOK_TIMEOUT_MS))));
    } catch (error) {
      if (SpecError.is(error)) throw new ServerError('MODEL_UNKNOWN', error.message);
      if (!(error instanceof SourceError)) throw error;
      if (error.failure !== 'missing') throw new ServerError('LOAD_FAILED', error.message);
    }
    if (model === undefined) throw new ServerError('MODEL_UNKNOWN', `no model '${name}' in the model repository`);
    const { failures, lacksMemory } = await this.reconcile(model, true);
    if (failures.length === 0) return;
    throw new ServerError(
      lacksMemory ? 'MODEL_MEMORY' : 'LOAD_FAILED',
      `model '${name}' cannot be loaded: ${failures.join('; ')}`,
    );
  }

  private reconcile(model: FoundModel, isExplicit: boolean): ReturnType<RepositoryReconciler['reconcile']> {
    this.remember(model);
    const budgetMs = this.options.settings.startupBudgetSeconds * 1_000;
    const loading = (): AbortSignal => this.within(budgetMs);
    const asking = (): Asking => this.asking(this.within(LOOK_TIMEOUT_MS));
    return this.reconciler.reconcile(model, { asking, loading, isExplicit });
  }

  private remember({ name, configuration }: FoundModel): void {
    const steps = configuration?.ensemble?.steps.map(({ modelName }) => modelName);
    if (steps === undefined) this.steps.delete(name);
    else this.steps.set(name, [...new Set(steps)]);
  }

  /** @returns the repository. @throws ServerError FORBIDDEN where a deployment has decided. */
  private assertControllable(): string {
    const { modelRepository, models } = this.options.settings;
    if (models === undefined && modelRepository !== undefined) return modelRepository;
    const message =
      'this replica serves exactly the versions that its deployment names in SLIPWAY_MODELS; deploy others';
    throw new ServerError('FORBIDDEN', message);
  }

  private exclusively<T>(change: () => T | Promise<T>): Promise<T> {
    const next = this.current.then(change);
    this.current = next.catch(() => {});
    return next;
  }

  private scanOptions(asking: Asking): ScanOptions {
    const versionPolicy = parseVersionPolicy(this.options.settings.versionPolicy);
    return { versionPolicy, asking, overrides: this.overrides };
  }

  private within(ms: number): AbortSignal {
    return AbortSignal.any([this.closing.signal, AbortSignal.timeout(ms)]);
  }

  private asking(signal: AbortSignal): Asking {
    const { log } = this.options;
    return { signal, onRetry: ({ message }) => log.warn({ reason: message }, 'asking the model repository again') };
  }
}

interface StartedVersion {
  readonly version: ModelVersion;
  readonly done?: () => void;
}

/** Ensembles last: they are ready when the models of their steps are. */
function inOrder(models: readonly FoundModel[]): readonly FoundModel[] {
  const isEnsemble = ({ configuration }: FoundModel): number => (configuration?.ensemble === undefined ? 0 : 1);
  return [...models].sort((a, b) => isEnsemble(a) - isEnsemble(b));
}

/** A model whose folder is gone: nothing of it is asked for any more. */
function vanishedModel(name: string): FoundModel {
  return {
    name,
    folder: '',
    labels: { labels: new Map(), weights: new Map() },
    configurationText: '',
    versions: [],
    fallback: NO_FALLBACK,
    refused: [],
  };
}

function nameOf({ reference: { name, version } }: ModelVersion): string {
  return `${name}/${version}`;
}
