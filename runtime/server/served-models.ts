import type { ModelSelector } from './codec';
import { ServerError } from './errors';
import type { ServedModel } from './served-model';

/** All model versions of this replica, by name and version. All of them are required. */
export class ServedModels {
  private readonly byName = new Map<string, ServedModel[]>();
  private hasBeenReady = false;

  constructor(readonly all: readonly ServedModel[] = []) {
    for (const model of all) {
      const versions = this.byName.get(model.name) ?? [];
      versions.push(model);
      versions.sort((a, b) => b.version - a.version);
      this.byName.set(model.name, versions);
    }
  }

  get names(): readonly string[] {
    return [...this.byName.keys()];
  }

  get isReady(): boolean {
    const isReady = this.all.length > 0 && this.all.every((model) => model.isReady);
    this.hasBeenReady ||= isReady;
    return isReady;
  }

  /** Sticky: a replica that loses an executor later has started all the same. */
  get hasStarted(): boolean {
    return this.isReady || this.hasBeenReady;
  }

  get longestRunSeconds(): number {
    return Math.max(0, ...this.all.map(({ longestRunSeconds }) => longestRunSeconds));
  }

  get isIdle(): boolean {
    return this.all.every(({ isIdle }) => isIdle);
  }

  /** Loaded versions of a model, newest first. */
  versionsOf(name: string): readonly ServedModel[] {
    return this.byName.get(name) ?? [];
  }

  /**
   * The version that is asked for; without one, the newest that is ready.
   * @throws ServerError MODEL_UNKNOWN
   */
  find({ name, version }: ModelSelector): ServedModel {
    const versions = this.versionsOf(name);
    const [newest] = versions;
    if (newest === undefined) throw new ServerError('MODEL_UNKNOWN', `no model '${name}' here`);
    if (version === undefined) return versions.find(({ isReady }) => isReady) ?? newest;
    const found = versions.find((model) => String(model.version) === version);
    if (found !== undefined) return found;
    const known = versions.map((model) => model.version).join(', ');
    throw new ServerError('MODEL_UNKNOWN', `no version '${version}' of model '${name}' here, only ${known}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((model) => model.close()));
  }
}
