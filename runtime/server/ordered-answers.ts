/** Lets answers out in the order in which their requests came, whatever the order in which they are ready. */
export class OrderedAnswers<K> {
  /** By request, in order of arrival; undefined while there is no answer. */
  private readonly answers = new Map<K, (() => void) | undefined>();

  expect(request: K): void {
    this.answers.set(request, undefined);
  }

  /** @param answer Called once the answers of all earlier requests have been let out. */
  settle(request: K, answer: () => void): void {
    this.answers.set(request, answer);
    for (const [earliest, ready] of this.answers) {
      if (ready === undefined) return;
      this.answers.delete(earliest);
      ready();
    }
  }
}
