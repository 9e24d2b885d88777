import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { ServerSettings } from '../../spec/environment';
import type { Asking } from '../find-models';
import type { ServedModels } from '../served-models';
import { sourceOf } from '../../sources/source-of';
import { AbsentModel } from './absent-model';
import { fingerprintOfFolder } from './file-fingerprint';
import type { ModelGroup } from './model-group';
import type { ModelVersion } from './model-version';
import { RegisteredVersion } from './registered-model';
import type { FoundModel, FoundVersion } from './scan-repository';
import type { LoadFailure, VersionLoader } from './version-loader';

/** A version that failed is tried again as soon as it changes; after this long also unchanged, for the machine may have. */
const RETRY_MS = 300_000;
/** An ensemble costs nothing to load, and may only have come before the models of its steps. */
const RETRY_ENSEMBLE_MS = 10_000;

/** A machine that has no room, say, may have some soon: looks after which it is asked again. */
const RETRY_MACHINE_LOOKS = 6;

export interface RepositoryReconcilerOptions {
  readonly settings: Pick<ServerSettings, 'hotReload' | 'reloadSeconds'>;
  readonly models: ServedModels;
  readonly loader: VersionLoader;
  readonly onReload: (model: string, outcome: 'ok' | 'failed') => void;
  readonly log: Logger;
}

export interface ReconcileOptions {
  /** Made anew for each question, with a time limit of its own. */
  readonly asking: () => Asking;
  /** Ends a load that takes too long. */
  readonly loading: () => AbortSignal;
  /** Somebody asked for it: files are taken as they are, and what failed before is tried again. */
  readonly isExplicit: boolean;
}

export interface Reconciled {
  /** Whether the repository was found at rest and every version was tried. */
  readonly isSettled: boolean;
  /** Why versions could not be loaded. */
  readonly failures: readonly string[];
  /** Whether one of them would not fit in memory. */
  readonly lacksMemory: boolean;
}

/** A version that could not be loaded. */
interface Failed {
  readonly fingerprint: string;
  readonly at: number;
  /** When it is tried again unchanged. */
  readonly retryMs: number;
}

interface Wanted {
  readonly found: FoundVersion;
  readonly key: string;
  readonly fingerprint: string;
  readonly isEnsemble: boolean;
}

/** Makes what is served follow what lies in a model repository, one model at a time. */
export class RepositoryReconciler {
  /** The state of the files that each version was loaded from, by name and version. */
  private readonly loaded = new Map<string, string>();
  private readonly failed = new Map<string, Failed>();
  /** What the last look showed, to tell files that rest from files that are being copied. */
  private readonly seen = new Map<string, string>();
  private readonly gone = new Set<string>();
  private readonly heldLabels = new Map<string, string>();

  constructor(private readonly options: RepositoryReconcilerOptions) {}

  /** Names of models that have come from the repository. */
  get names(): readonly string[] {
    return [...new Set([...this.loaded.keys(), ...this.failed.keys()].map(nameIn))];
  }

  /**
   * Puts a model of the start among those that are served, to be loaded by the caller.
   * @returns its versions; call `began` with each when it has been loaded or could not be.
   */
  begin(model: FoundModel): readonly FoundVersion[] {
    const group = this.options.models.group(model.name);
    for (const { version, reason } of model.refused) {
      group.serve(new RegisteredVersion(new AbsentModel(model.name, version, reason), true));
    }
    return model.versions;
  }

  /** @param fingerprint Of its files before they were read. */
  began(model: FoundModel, version: FoundVersion, fingerprint: string): void {
    const group = this.options.models.group(model.name);
    const key = keyOf(model, version);
    if (group.isLoaded(version.version)) this.loaded.set(key, fingerprint);
    else this.fail(key, fingerprint, model.configuration?.ensemble === undefined ? RETRY_MS : RETRY_ENSEMBLE_MS);
    this.useLabels(group, model);
  }

  /** Loads what is new or changed, and takes out of service what is no longer there once the rest of the model serves. */
  async reconcile(model: FoundModel, options: ReconcileOptions): Promise<Reconciled> {
    const group = this.options.models.group(model.name);
    const wanted = await this.fingerprints(model, model.versions, options.asking());
    const ready = wanted.filter((version) => this.isToBeLoaded(group, version, options.isExplicit));
    const isServed = ({ key, fingerprint }: Wanted): boolean => this.loaded.get(key) === fingerprint;
    for (const { key, fingerprint } of wanted) this.seen.set(key, fingerprint);
    this.refuse(group, model);
    this.useLabels(group, model);

    const stays = new Set(model.versions.map(({ version }) => version));
    const failures = model.refused.map(({ version, reason }) => `version ${version}: ${reason}`);
    let lacksMemory = false;
    for (const version of ready) {
      const failure = await this.load(group, model, version, options, (other) => !stays.has(other));
      if (failure === undefined) continue;
      failures.push(`version ${version.found.version}: ${failure.reason}`);
      lacksMemory ||= failure.lacksMemory;
    }
    const isWhole = model.refused.length === 0 && wanted.every(isServed);
    const isAtRest = isWhole && this.retireOthers(group, wanted, options.isExplicit || ready.length > 0);
    const isTried = wanted.every((version) => isServed(version) || this.hasFailed(version));
    const hasFallenBack =
      !isTried || !this.options.settings.hotReload || options.isExplicit || (await this.fallBack(model, options));
    this.useLabels(group, model);
    if (model.versions.length + model.refused.length === 0) this.forget(model.name, [this.failed, this.seen]);
    this.options.models.forgetEmpty(model.name);
    return { isSettled: isTried && hasFallenBack && (isAtRest || !isWhole), failures, lacksMemory };
  }

  /**
   * Serves older versions in the place of newest ones that cannot be served and that none was there before.
   * @returns whether there is nothing left to try.
   */
  async fallBack(model: FoundModel, options: ReconcileOptions): Promise<boolean> {
    const group = this.options.models.group(model.name);
    const { replaceable, substitutes } = model.fallback;
    const isLoaded = ({ model: { target } }: RegisteredVersion): boolean => target !== undefined;
    const broken = group.versions.filter(
      (version) => !isLoaded(version) && replaceable.includes(version.model.version),
    );
    if (broken.length === 0 && (replaceable.length === 0 || group.versions.some(isLoaded))) return true;
    // They give back what they hold, and the replica stays not ready for want of them.
    const absent = broken.map((version) => this.options.loader.abandon(group, version));
    const wanted = await this.fingerprints(model, substitutes, options.asking());
    let missing = replaceable.filter((version) => !group.isLoaded(version)).length;
    for (const substitute of wanted) {
      if (missing === 0) break;
      const isToBeLoaded = this.isToBeLoaded(group, substitute, options.isExplicit);
      this.seen.set(substitute.key, substitute.fingerprint);
      if (!isToBeLoaded) continue;
      if ((await this.load(group, model, substitute, options, () => false)) === undefined) missing -= 1;
    }
    const isServed = group.versions.some(isLoaded);
    if (isServed) {
      for (const version of absent) group.setAside(version);
      const serving = group.versions.map(({ model: { version } }) => version);
      this.options.log.warn(
        { model: model.name, versions: serving },
        'older versions serve in the place of the newest',
      );
    }
    this.useLabels(group, model);
    return isServed || wanted.every((substitute) => this.hasFailed(substitute));
  }

  /** Takes all versions of a model out of service; they stay in the index. */
  unload(name: string): void {
    const group = this.options.models.group(name);
    for (const { model } of group.versions) {
      const replaced = group.serve(new RegisteredVersion(new AbsentModel(name, model.version, 'unloaded'), false));
      this.options.loader.retire(group, replaced!);
    }
    group.dropCandidates();
    this.forget(name, [this.loaded, this.failed, this.seen, this.gone]);
    this.options.models.forgetEmpty(name);
  }

  /** What the files of a version look like now, and with them what its author decided about it. */
  async fingerprint(model: FoundModel, { folder, hasManifest }: FoundVersion, asking: Asking): Promise<string> {
    const source = sourceOf(folder);
    // What was published to an object store is never changed there, and each file is checked against its digest.
    const files =
      hasManifest && source.localPath === undefined ? 'published' : await fingerprintOfFolder(source, folder, asking);
    return `${model.configurationText}\n${files}`;
  }

  private forget(name: string, tracked: readonly (Map<string, unknown> | Set<string>)[]): void {
    for (const each of tracked) for (const key of each.keys()) if (nameIn(key) === name) each.delete(key);
  }

  private fingerprints(
    model: FoundModel,
    versions: readonly FoundVersion[],
    asking: Asking,
  ): Promise<readonly Wanted[]> {
    return Promise.all(
      versions.map(async (found) => ({
        found,
        key: keyOf(model, found),
        fingerprint: await this.fingerprint(model, found, asking),
        isEnsemble: model.configuration?.ensemble !== undefined,
      })),
    );
  }

  private isToBeLoaded(group: ModelGroup, version: Wanted, isExplicit: boolean): boolean {
    const { key, fingerprint, found } = version;
    if (this.loaded.get(key) === fingerprint && group.isLoaded(found.version)) return false;
    // Half-copied files change from one look to the next.
    return isExplicit || (this.seen.get(key) === fingerprint && !this.hasFailed(version));
  }

  private hasFailed({ key, fingerprint }: Wanted): boolean {
    const failure = this.failed.get(key);
    return failure?.fingerprint === fingerprint && performance.now() - failure.at < failure.retryMs;
  }

  private fail(key: string, fingerprint: string, retryMs: number): void {
    this.failed.set(key, { fingerprint, at: performance.now(), retryMs });
  }

  private async load(
    group: ModelGroup,
    model: FoundModel,
    { found, key, fingerprint, isEnsemble }: Wanted,
    { asking, loading }: ReconcileOptions,
    goes: (version: number) => boolean,
  ): Promise<LoadFailure | undefined> {
    const leaving = group.versions.filter(({ model: { version } }) => version === found.version || goes(version));
    const failure = await this.options.loader.load(versionOf(model, found), {
      signal: loading(),
      isRequired: group.versions.some(({ isRequired }) => isRequired),
      leaving,
      isUnchanged: async () => (await this.fingerprint(model, found, asking())) === fingerprint,
    });
    if (failure === undefined) {
      this.loaded.set(key, fingerprint);
      this.failed.delete(key);
    } else {
      const retryMachineMs = RETRY_MACHINE_LOOKS * this.options.settings.reloadSeconds * 1_000;
      this.fail(key, fingerprint, failure.isOfMachine ? retryMachineMs : isEnsemble ? RETRY_ENSEMBLE_MS : RETRY_MS);
    }
    this.options.onReload(model.name, failure === undefined ? 'ok' : 'failed');
    return failure;
  }

  /** @returns whether there is nothing left to take out of service. */
  private retireOthers(group: ModelGroup, wanted: readonly Wanted[], atOnce: boolean): boolean {
    const stays = new Set(wanted.map(({ found }) => found.version));
    let isAtRest = true;
    for (const version of group.versions) {
      const key = keyOf(group, version.model);
      if (stays.has(version.model.version)) {
        this.gone.delete(key);
      } else if (atOnce || this.gone.has(key)) {
        this.gone.delete(key);
        this.loaded.delete(key);
        this.options.log.info({ model: group.name, version: version.model.version }, 'model version out of service');
        this.options.loader.retire(group, version);
      } else {
        // A folder may be away for a moment: it is believed the second time.
        this.gone.add(key);
        isAtRest = false;
      }
    }
    group.dropCandidates(stays);
    return isAtRest;
  }

  private refuse(group: ModelGroup, model: FoundModel): void {
    for (const { version, reason } of model.refused) {
      if (group.version(version)?.model.reason === reason) continue;
      if (group.candidate(version)?.model.reason === reason) continue;
      group.addCandidate(new RegisteredVersion(new AbsentModel(model.name, version, reason), false));
      this.options.log.error({ model: model.name, version, reason }, 'the model cannot be loaded from the repository');
      this.options.onReload(model.name, 'failed');
    }
  }

  private useLabels(group: ModelGroup, model: FoundModel): void {
    if (model.refused.length === 0) group.labels.use(model.labels, (version) => group.isLoaded(version));
    const held = [...group.settleLabels()].map(([label, version]) => `${label} to ${version}`).join(', ');
    if (held !== (this.heldLabels.get(model.name) ?? '')) {
      if (held !== '') {
        this.options.log.warn(
          { model: model.name, labels: held },
          'labels are not moved to versions that are not loaded',
        );
      }
      this.heldLabels.set(model.name, held);
    }
  }
}

export function versionOf(model: FoundModel, { version, folder, modelFile }: FoundVersion): ModelVersion {
  return {
    reference: { name: model.name, version, folder },
    configuration: model.configuration,
    modelFile,
    modelFolder: model.folder,
  };
}

function keyOf({ name }: { readonly name: string }, { version }: { readonly version: number }): string {
  return `${version}/${name}`;
}

function nameIn(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}
