/** A step of the demonstration that failed: what and why in the message, and what to do about it. */
export class RemediedError extends Error {
  constructor(
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}
