import type { Cancellation } from './cancellation';
import type { ModelSelector } from './codec';
import { ServerError } from './errors';
import { ModelGroup, type IndexRow } from './repository/model-group';
import type { Lease, RegisteredModel, RegisteredVersion } from './repository/registered-model';

/** All model versions of this replica, by name and version or label. */
export class ServedModels {
  private readonly groups = new Map<string, ModelGroup>();
  private hasBeenReady = false;

  /** What requests find, one for each name and version. */
  get all(): readonly RegisteredModel[] {
    return this.found().map(({ model }) => model);
  }

  get names(): readonly string[] {
    return [...this.groups.values()].filter(({ versions }) => versions.length > 0).map(({ name }) => name);
  }

  /** Every version that may hold memory or threads. */
  get everyModel(): readonly RegisteredModel[] {
    return this.everything().map(({ model }) => model);
  }

  /** The versions without which the replica is not ready, and that are not. */
  get missing(): readonly RegisteredModel[] {
    return [...this.groups.values()].flatMap((group) => group.missing);
  }

  get isReady(): boolean {
    const isReady = (this.groups.size > 0 || this.hasBeenReady) && this.missing.length === 0;
    this.hasBeenReady ||= isReady;
    return isReady;
  }

  /** Sticky: a replica that loses an executor later has started all the same. */
  get hasStarted(): boolean {
    return this.isReady || this.hasBeenReady;
  }

  get longestRunSeconds(): number {
    return Math.max(0, ...this.everyModel.map(({ longestRunSeconds }) => longestRunSeconds));
  }

  get isIdle(): boolean {
    return this.everyModel.every(({ isIdle }) => isIdle);
  }

  /** One row for each model version, whatever has become of it. */
  get index(): readonly IndexRow[] {
    return [...this.groups.values()].flatMap((group) => group.rows());
  }

  /** Versions of a model that requests find, newest first. */
  versionsOf(name: string): readonly RegisteredModel[] {
    return this.groups.get(name)?.versions.map(({ model }) => model) ?? [];
  }

  /** The versions of one model; made when there is none yet. */
  group(name: string): ModelGroup {
    let group = this.groups.get(name);
    if (group === undefined) this.groups.set(name, (group = new ModelGroup(name)));
    return group;
  }

  /** Whether anything of a model is here, served or not. */
  has(name: string): boolean {
    return this.groups.has(name);
  }

  /** Forgets a model of which no version is left. */
  forgetEmpty(name: string): void {
    if (this.groups.get(name)?.isEmpty === true) this.groups.delete(name);
  }

  /**
   * The version that is asked for; without one, the one that the labels' weights choose, else the newest that is ready.
   * To ask about it: whoever runs it takes a lease by `acquire`.
   * @throws ServerError MODEL_UNKNOWN
   */
  find(selector: ModelSelector): RegisteredModel {
    return this.known(selector.name).select(selector).model;
  }

  /**
   * The version for one request, which releases it when it is done: until then a reload does not close it. Waits while a
   * swap holds the requests of the model.
   * @throws ServerError MODEL_UNKNOWN; QUEUE_FULL, MODEL_NOT_READY or the reason of the cancellation for one that is held.
   */
  acquire(selector: ModelSelector, cancellation: Cancellation): Lease | Promise<Lease> {
    const group = this.known(selector.name);
    if (group.hold?.isHolding === true) return this.acquireHeld(group, selector, cancellation);
    return group.select(selector).lease();
  }

  async close(): Promise<void> {
    for (const { hold } of this.groups.values()) hold?.release();
    await Promise.all(this.everyModel.map((model) => model.close()));
  }

  private async acquireHeld(group: ModelGroup, selector: ModelSelector, cancellation: Cancellation): Promise<Lease> {
    // Other versions of the model go on meanwhile.
    const other = group.versions.find(({ model }) => String(model.version) === selector.version);
    if (other?.model.isReady === true) return other.lease();
    await group.hold?.wait(cancellation);
    return this.acquire(selector, cancellation);
  }

  private known(name: string): ModelGroup {
    const group = this.groups.get(name);
    if (group === undefined) throw new ServerError('MODEL_UNKNOWN', `no model '${name}' here`);
    return group;
  }

  private found(): readonly RegisteredVersion[] {
    return [...this.groups.values()].flatMap(({ versions }) => versions);
  }

  private everything(): readonly RegisteredVersion[] {
    return [...this.groups.values()].flatMap((group) => group.everything);
  }
}
