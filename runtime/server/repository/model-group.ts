import type { ModelSelector } from '../codec';
import { ServerError } from '../errors';
import type { ModelState } from '../servable';
import type { RegisteredModel, RegisteredVersion } from './registered-model';
import type { RequestHold } from './request-hold';
import { VersionLabels } from './version-labels';

/** A row of the repository index. */
export interface IndexRow {
  readonly name: string;
  readonly version: number;
  readonly state: ModelState;
  readonly reason: string;
}

/** All versions of one model: those that requests find, those that are still being loaded, and those on their way out. */
export class ModelGroup {
  readonly labels = new VersionLabels();
  /** Set while requests wait for a version to be replaced. */
  hold: RequestHold | undefined;
  /** Newest first. */
  private serving: readonly RegisteredVersion[] = [];
  private readonly candidates = new Map<number, RegisteredVersion>();
  private readonly retiring = new Set<RegisteredVersion>();

  constructor(readonly name: string) {}

  /** What requests find, newest first. */
  get versions(): readonly RegisteredVersion[] {
    return this.serving;
  }

  /** Everything that may hold memory or threads. */
  get everything(): readonly RegisteredVersion[] {
    return [...this.serving, ...this.candidates.values(), ...this.retiring];
  }

  /** Versions that the replica is not ready without, and that are not ready. */
  get missing(): readonly RegisteredModel[] {
    // Requests that wait for a swap are not lost: only one that takes too long makes the replica not ready.
    if (this.hold?.isHolding === true) return [];
    const expected = this.hold === undefined ? this.serving : [...this.serving, ...this.candidates.values()];
    return expected.filter(({ isRequired, model }) => isRequired && !model.isReady).map(({ model }) => model);
  }

  get isEmpty(): boolean {
    return this.serving.length === 0 && this.candidates.size === 0 && this.retiring.size === 0;
  }

  /** The version with this number that requests find. */
  version(version: number): RegisteredVersion | undefined {
    return this.serving.find(({ model }) => model.version === version);
  }

  candidate(version: number): RegisteredVersion | undefined {
    return this.candidates.get(version);
  }

  /** @throws ServerError MODEL_UNKNOWN with what is known. */
  select({ version, label }: ModelSelector): RegisteredVersion {
    if (label !== undefined) return this.labelled(label);
    if (version !== undefined) return this.numbered(version);
    const found = this.weighted() ?? this.newestReady() ?? this.serving[0] ?? this.newestCandidate();
    if (found === undefined) throw new ServerError('MODEL_UNKNOWN', `no model '${this.name}' here`);
    return found;
  }

  /** Lets requests find a version. @returns the one of the same number that it takes the place of. */
  serve(added: RegisteredVersion): RegisteredVersion | undefined {
    const { version } = added.model;
    this.candidates.delete(version);
    const replaced = this.version(version);
    const others = this.serving.filter((other) => other !== replaced);
    this.serving = [...others, added].sort((a, b) => b.model.version - a.model.version);
    this.settleLabels();
    return replaced;
  }

  /** Shows a version in the index that requests do not find yet. */
  addCandidate(candidate: RegisteredVersion): void {
    this.candidates.set(candidate.model.version, candidate);
  }

  /** Takes a version that cannot be served from requests; the index goes on telling of it. */
  setAside(version: RegisteredVersion): void {
    this.serving = this.serving.filter((other) => other !== version);
    version.isRequired = false;
    this.addCandidate(version);
    this.settleLabels();
  }

  /** Takes what requests never found out of the index. */
  dropCandidates(except: ReadonlySet<number> = new Set()): void {
    for (const version of this.candidates.keys()) if (!except.has(version)) this.candidates.delete(version);
  }

  /** Takes a version from requests; it closes when those that have it in hand are done. */
  async retire(version: RegisteredVersion): Promise<void> {
    this.serving = this.serving.filter((other) => other !== version);
    this.settleLabels();
    this.retiring.add(version);
    try {
      await version.close();
    } finally {
      this.retiring.delete(version);
    }
  }

  settleLabels(): ReadonlyMap<string, number> {
    return this.labels.settle((version) => this.isLoaded(version));
  }

  isLoaded(version: number): boolean {
    return this.version(version)?.model.target !== undefined;
  }

  /** One row for each version, newest first. */
  rows(): readonly IndexRow[] {
    const rows = new Map<number, IndexRow>();
    for (const { model } of this.retiring) {
      rows.set(model.version, { name: this.name, version: model.version, state: 'UNLOADING', reason: '' });
    }
    for (const { model } of this.candidates.values()) {
      // Ready by itself, and not yet found by requests.
      const row = rowOf(model);
      rows.set(model.version, row.state === 'READY' ? { ...row, state: 'LOADING' } : row);
    }
    for (const { model } of this.serving) {
      // Where the files of a loaded version were changed and cannot be served, the old ones are, and the row says why.
      const failure = this.candidates.get(model.version)?.model.reason ?? '';
      const row = rowOf(model);
      rows.set(model.version, row.reason === '' ? { ...row, reason: failure } : row);
    }
    return [...rows.values()].sort((a, b) => b.version - a.version);
  }

  private weighted(): RegisteredVersion | undefined {
    if (!this.labels.hasWeights) return undefined;
    const chosen = this.labels.choose((version) => this.version(version)?.model.isReady === true);
    return chosen === undefined ? undefined : this.version(chosen);
  }

  private newestReady(): RegisteredVersion | undefined {
    for (const version of this.serving) if (version.model.isReady) return version;
    return undefined;
  }

  private labelled(label: string): RegisteredVersion {
    const version = this.labels.versionOf(label);
    const found = version === undefined ? undefined : this.version(version);
    if (found !== undefined) return found;
    const known = this.labels.names.map((name) => `'${name}'`).join(', ');
    const others = known === '' ? 'it has no labels' : `only ${known}`;
    throw new ServerError('MODEL_UNKNOWN', `no label '${label}' of model '${this.name}' here, ${others}`);
  }

  private numbered(version: string): RegisteredVersion {
    const found = this.serving.find(({ model }) => String(model.version) === version);
    if (found !== undefined) return found;
    const known = this.serving.map(({ model }) => model.version).join(', ');
    const others = known === '' ? 'none is loaded' : `only ${known}`;
    throw new ServerError('MODEL_UNKNOWN', `no version '${version}' of model '${this.name}' here, ${others}`);
  }

  private newestCandidate(): RegisteredVersion | undefined {
    return [...this.candidates.values()].sort((a, b) => b.model.version - a.model.version)[0];
  }
}

function rowOf({ name, version, state, reason }: RegisteredModel): IndexRow {
  return { name, version, state, reason };
}
