import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ServerSettings } from '../../spec/environment';
import { StartupError } from '../errors';
import { ModelError } from '../model-error';
import { showMiB, weightBytesOf, type ModelMemory, type ModelWeights } from '../model-memory';
import type { ServedModels } from '../served-models';
import { AbsentModel } from './absent-model';
import type { ModelGroup } from './model-group';
import type { CreateModel, LoadableModel, ModelVersion } from './model-version';
import { RegisteredVersion, type RegisteredModel } from './registered-model';
import { RequestHold } from './request-hold';

/** How long executors may take to end after the last request that they can have had. */
const GRACE_MS = 5_000;

export interface VersionLoaderOptions {
  readonly models: ServedModels;
  readonly create: CreateModel;
  readonly memory: ModelMemory;
  readonly settings: Pick<
    ServerSettings,
    'swapPolicy' | 'swapHoldSeconds' | 'queueDepthRows' | 'requestDeadlineSeconds'
  >;
  readonly log: Logger;
}

export interface LoadOptions {
  readonly signal: AbortSignal;
  readonly isRequired: boolean;
  /** Versions that go once this one serves. Where both do not fit in memory, they may have to go first. */
  readonly leaving: readonly RegisteredVersion[];
  /** Asked before the version serves: whether its files still are what was loaded. */
  readonly isUnchanged: () => Promise<boolean>;
}

/** Why a version is not in service. */
export interface LoadFailure {
  readonly reason: string;
  /** Whether it lies in this machine, such as a full disk, so that the same files may do soon. */
  readonly isOfMachine: boolean;
  /** Whether it would not fit in memory. */
  readonly lacksMemory: boolean;
}

/** What was closed to make room. */
interface Room {
  readonly hold: RequestHold;
  readonly closed: readonly RegisteredVersion[];
}

class NoMemory extends ModelError {}

/** Brings versions into service while the server runs: the old one serves until the new one is opened, proven and warm. */
export class VersionLoader {
  /** What loaded models were made from, to bring one back that had to go first. */
  private readonly origins = new WeakMap<RegisteredModel, ModelVersion>();
  private readonly retiring = new Set<Promise<void>>();

  constructor(private readonly options: VersionLoaderOptions) {}

  /** A version of the start: requests find it at once, and are told that it is loading. Nothing has to make room for it. */
  begin(version: ModelVersion): { readonly load: (signal: AbortSignal) => Promise<void> } {
    const { models, create, memory } = this.options;
    const model: LoadableModel = create(version, async (fetched, sessions) =>
      memory.expect(model, { weightBytes: await weightBytesOf(fetched), sessions }),
    );
    this.origins.set(model, version);
    models.group(model.name).serve(new RegisteredVersion(model, true));
    return { load: (signal) => model.load(signal) };
  }

  /**
   * Loads a version and lets requests find it. One that cannot be served stands in the index with the reason, and the old
   * one goes on.
   * @returns why it cannot be served; undefined when it is.
   */
  async load(version: ModelVersion, options: LoadOptions): Promise<LoadFailure | undefined> {
    const { models, create, memory, log } = this.options;
    const group = models.group(version.reference.name);
    let room: Room | undefined;
    // An ensemble opens nothing and is not asked.
    let opened: { readonly weights: ModelWeights; readonly mark: number } | undefined;
    let lacksMemory = false;
    const model = create(version, async (fetched, sessions) => {
      const weights = { weightBytes: await weightBytesOf(fetched), sessions };
      try {
        room = await this.makeRoom(group, memory.estimate(weights), options.leaving);
      } catch (error) {
        lacksMemory = error instanceof NoMemory;
        throw error;
      }
      opened = { weights, mark: memory.mark() };
    });
    const candidate = new RegisteredVersion(model, options.isRequired);
    group.addCandidate(candidate);
    const failed = await attempt(model, options);
    const failure = failed === undefined ? undefined : { ...failed, lacksMemory };
    if (failure === undefined) {
      if (opened !== undefined) memory.record(model, opened.weights, opened.mark);
      this.origins.set(model, version);
      const replaced = group.serve(candidate);
      if (replaced !== undefined) this.retire(group, replaced);
      log.info({ model: model.name, version: model.version, replaces: leavingOf(options) }, 'model version in service');
    } else {
      // One that is stuck in a run is waited for by nobody, and stays where /livez sees it.
      if (model.isIdle) await model.close();
      else this.retire(group, candidate);
      if (room !== undefined) await this.bringBack(group, room.closed, options.signal);
      group.addCandidate(new RegisteredVersion(new AbsentModel(model.name, model.version, failure.reason), false));
      log.error({ model: model.name, version: model.version, reason: failure.reason }, 'the old version goes on');
    }
    group.hold = undefined;
    room?.hold.release();
    return failure;
  }

  /** Ends what could not be loaded. It stays, as what is not there, with its reason. */
  abandon(group: ModelGroup, version: RegisteredVersion): RegisteredVersion {
    const { model, isRequired } = version;
    if (model instanceof AbsentModel) return version;
    const absent = new RegisteredVersion(new AbsentModel(model.name, model.version, model.reason), isRequired);
    const replaced = group.serve(absent);
    if (replaced !== undefined) this.retire(group, replaced);
    return absent;
  }

  /** Takes a version from requests, and closes it when the last of them is done. */
  retire(group: ModelGroup, version: RegisteredVersion): void {
    const retiring = group
      .retire(version)
      .catch((error: unknown) => this.options.log.error({ err: error, model: group.name }, 'a version did not close'))
      .finally(() => {
        this.retiring.delete(retiring);
        this.options.models.forgetEmpty(group.name);
      });
    this.retiring.add(retiring);
  }

  /** Resolves when every version that was retired so far is closed, or the time is over. */
  async settled(timeoutMs: number): Promise<void> {
    await within(timeoutMs, [...this.retiring]);
  }

  /** @throws NoMemory when the version would not fit in memory, whoever left; ModelError when whoever was to leave does not. */
  private async makeRoom(
    group: ModelGroup,
    needed: number,
    leaving: readonly RegisteredVersion[],
  ): Promise<Room | undefined> {
    const { models, memory, settings, log } = this.options;
    const free = memory.free(models.everyModel);
    if (needed <= free) return undefined;
    const freed = memory.heldBy(leaving.map(({ model }) => model));
    const numbers = `it needs about ${showMiB(needed)} of memory while it is loaded, and ${showMiB(free)} are free`;
    if (needed > free + freed) throw new NoMemory(`${numbers}; give the server more, or SLIPWAY_MODEL_MEMORY_MIB`);
    if (settings.swapPolicy === 'refuse') {
      throw new NoMemory(`${numbers}; SLIPWAY_SWAP_POLICY=hold would unload the old version first`);
    }
    log.warn(
      { model: group.name, neededMiB: needed / 2 ** 20, freeMiB: free / 2 ** 20 },
      'holding requests for a swap',
    );
    const hold = new RequestHold({
      model: group.name,
      maxRequests: settings.queueDepthRows,
      maxSeconds: settings.swapHoldSeconds,
    });
    group.hold = hold;
    const retired = leaving.map((version) => group.retire(version));
    if (await within(settings.requestDeadlineSeconds * 1_000 + GRACE_MS, retired)) return { hold, closed: leaving };
    // A run that does not return keeps the memory, and beside it neither version fits: /livez tells of such a run.
    const reason = 'a run of the version that was to make room does not return';
    for (const { model, isRequired } of leaving) {
      group.serve(new RegisteredVersion(new AbsentModel(model.name, model.version, reason), isRequired));
    }
    hold.release();
    throw new ModelError(reason);
  }

  /** The new version failed after the old one had gone: requests wait for the old one to be loaded again. */
  private async bringBack(group: ModelGroup, closed: readonly RegisteredVersion[], signal: AbortSignal): Promise<void> {
    const { create, log } = this.options;
    for (const { model: old, isRequired } of closed) {
      const origin = this.origins.get(old);
      if (origin === undefined) continue;
      const model = create(origin);
      this.origins.set(model, origin);
      const failure = await attempt(model, { signal, isUnchanged: () => Promise.resolve(true) });
      if (failure !== undefined) {
        await model.close();
        log.error(
          { model: old.name, version: old.version, reason: failure.reason },
          'the old version cannot be loaded again',
        );
      }
      const back = failure === undefined ? model : new AbsentModel(old.name, old.version, failure.reason);
      group.serve(new RegisteredVersion(back, isRequired));
    }
  }
}

function leavingOf({ leaving }: LoadOptions): readonly number[] {
  return leaving.map(({ model }) => model.version);
}

/** @returns whether all came to their end in time. */
async function within(timeoutMs: number, all: readonly Promise<void>[]): Promise<boolean> {
  const stop = new AbortController();
  const late = wait(timeoutMs, false, { signal: stop.signal }).catch(() => false);
  try {
    return await Promise.race([Promise.all(all).then(() => true), late]);
  } finally {
    stop.abort();
  }
}

async function attempt(
  model: LoadableModel,
  { signal, isUnchanged }: Pick<LoadOptions, 'signal' | 'isUnchanged'>,
): Promise<Omit<LoadFailure, 'lacksMemory'> | undefined> {
  const isOfMachine = false;
  try {
    signal.throwIfAborted();
    await model.load(signal);
    if (!model.isReady) return { reason: model.reason, isOfMachine };
    if (await isUnchanged()) return undefined;
    return { reason: 'its files were changed while it was being loaded', isOfMachine };
  } catch (error) {
    // At the start the process ends for such a reason; while it serves, that is no help.
    return { reason: (error as Error).message, isOfMachine: error instanceof StartupError };
  }
}
