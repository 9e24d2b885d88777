import { constants, type ServerHttp2Session } from 'node:http2';
import { performance } from 'node:perf_hooks';

/** One connection, how many calls it has, and whether anybody is at its other end. */
export class GrpcConnection {
  private calls = 0;
  private isClosing = false;
  private askedAt = performance.now();
  private silence: { readonly endsAt: number; readonly timer: NodeJS.Timeout } | undefined;

  constructor(private readonly session: ServerHttp2Session) {
    session.once('close', () => clearTimeout(this.silence?.timer));
  }

  get hasCalls(): boolean {
    return this.calls > 0;
  }

  /** Whether the client was asked at this time or later, on the clock of `performance.now()`; who has just connected was. */
  wasAskedSince(ms: number): boolean {
    return this.askedAt >= ms;
  }

  /**
   * Takes no calls any more, and ends with the last of those that it has.
   * @param answerWithinMs As in `ping`: a connection that is broken would keep its calls.
   */
  close(answerWithinMs: number): void {
    this.isClosing = true;
    const { session } = this;
    if (session.destroyed) return;
    if (this.calls === 0) {
      session.close();
      return;
    }
    // Node answers no ping of a session that is closed.
    session.goaway(constants.NGHTTP2_NO_ERROR);
    this.ping(answerWithinMs);
  }

  began(): void {
    this.calls += 1;
  }

  ended(): void {
    this.calls -= 1;
    if (this.isClosing && this.calls === 0 && !this.session.destroyed) this.session.close();
  }

  /**
   * Asks the client for a sign of life, and ends the connection without one. A client may have gone away without a word; and
   * after a frame that it does not understand nghttp2 says goodbye, reads and sends nothing any more, and tells nobody.
   * @param answerWithinMs How long the client may take; who was asked before keeps the time that was given then, if that is less.
   */
  ping(answerWithinMs: number): void {
    const { session, silence } = this;
    const endsAt = performance.now() + answerWithinMs;
    if (session.destroyed || (silence !== undefined && endsAt >= silence.endsAt)) return;
    clearTimeout(silence?.timer);
    this.silence = { endsAt, timer: setTimeout(() => session.destroy(), answerWithinMs).unref() };
    if (silence !== undefined) return;
    this.askedAt = performance.now();
    session.ping(() => {
      clearTimeout(this.silence?.timer);
      this.silence = undefined;
    });
  }
}
