/** Tenants that are told apart; the others share one place. */
const MAX_TENANTS = 1_024;

/** One tenant's part in the executors, within one priority level. */
export interface Share {
  waitingRows: number;
  /** Rows that were served, on a scale on which nobody who returns is behind those that stayed. */
  served: number;
}

/**
 * Who comes next: the tenant that has had the fewest rows so far. Among tenants that always have something waiting no one
 * gets ahead of another by more than a batch. Whoever comes back after a pause begins where the others are: unused time
 * is not saved up.
 */
export class FairShares {
  private readonly byTenant = new Map<string, Share>();
  private readonly others: Share = { waitingRows: 0, served: 0 };
  /** What the one who is served next has had. */
  private floor = 0;
  /** Shares with nothing waiting, the one for the others among them. */
  private idle = 1;

  of(tenant: string): Share {
    const known = this.byTenant.get(tenant);
    if (known !== undefined) return known;
    if (this.byTenant.size >= MAX_TENANTS) this.forgetIdle();
    if (this.byTenant.size >= MAX_TENANTS) return this.others;
    const share: Share = { waitingRows: 0, served: this.floor };
    this.byTenant.set(tenant, share);
    this.idle += 1;
    return share;
  }

  /** Those that have rows waiting, and maybe some that have not. */
  *all(): Iterable<Share> {
    yield* this.byTenant.values();
    yield this.others;
  }

  waits(share: Share, rows: number): void {
    if (share.waitingRows === 0) {
      this.idle -= 1;
      if (share.served < this.floor) share.served = this.floor;
    }
    share.waitingRows += rows;
  }

  /** Rows that no longer wait, whatever becomes of them. */
  leaves(share: Share, rows: number): void {
    share.waitingRows -= rows;
    if (share.waitingRows === 0) this.idle += 1;
  }

  serves(share: Share, rows: number): void {
    if (share.served > this.floor) this.floor = share.served;
    share.served += rows;
  }

  /** Takes back what `serves` noted: the rows were not run after all. */
  givesBack(share: Share, rows: number): void {
    share.served -= rows;
  }

  private forgetIdle(): void {
    if (this.idle === 0) return;
    for (const [tenant, { waitingRows }] of this.byTenant) if (waitingRows === 0) this.byTenant.delete(tenant);
    this.idle = this.others.waitingRows === 0 ? 1 : 0;
  }
}
