/**
 * Bounds what is held in memory at once. Whoever asks waits until there is room, in the order of asking; something larger
 * than all of it goes alone.
 */
export class ByteBudget {
  private used = 0;
  private readonly waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(private readonly capacity: number) {}

  /** Whether somebody waits for room. */
  get isContested(): boolean {
    return this.waiting.length > 0;
  }

  /** @returns what gives the room back, or undefined where whoever asks would have to wait. */
  tryTake(bytes: number): (() => void) | undefined {
    if (this.isContested || !this.fits(bytes)) return undefined;
    this.used += bytes;
    return this.held(bytes);
  }

  /** @returns what gives the room back; calling it twice does nothing more. */
  async take(bytes: number): Promise<() => void> {
    const release = this.tryTake(bytes);
    if (release !== undefined) return release;
    await new Promise<void>((go) => this.waiting.push({ bytes, go }));
    return this.held(bytes);
  }

  private held(bytes: number): () => void {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.used -= bytes;
      this.admit();
    };
  }

  private fits(bytes: number): boolean {
    return this.used === 0 || this.used + bytes <= this.capacity;
  }

  private admit(): void {
    for (let next = this.waiting[0]; next !== undefined && this.fits(next.bytes); next = this.waiting[0]) {
      this.waiting.shift();
      this.used += next.bytes;
      next.go();
    }
  }
}
