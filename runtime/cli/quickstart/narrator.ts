import { styleText } from 'node:util';

/** What the demonstration prints: numbered steps, and lines below them. Plain text where nobody looks at a terminal. */
export class Narrator {
  private step = 0;
  private readonly colours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;

  constructor(
    private readonly steps: number,
    readonly width: number,
  ) {}

  /** Begins the next step. */
  begin(title: string): void {
    this.step += 1;
    this.line('');
    this.line(this.bold(`[${this.step}/${this.steps}] ${title}`));
  }

  line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  bold(text: string): string {
    // The stream was looked at already, and for what it is rather than for what the environment says of it.
    return this.colours ? styleText('bold', text, { validateStream: false }) : text;
  }
}
