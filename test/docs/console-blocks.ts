/** A command that a page shows, and what the page says it prints. */
export interface ShownCommand {
  /** Without the prompt and without the comment behind it. */
  readonly command: string;
  /** Empty where the page shows none. `…` stands for anything. */
  readonly output: string;
}

/** The commands of every `console` block of a page, in its order. A line that ends with a backslash goes on. */
export function readConsoleBlocks(page: string): readonly ShownCommand[] {
  const blocks = [...page.matchAll(/^```console\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((text) => {
        const end = /(?<!\\)\n/.exec(text)!.index;
        return {
          command: text.slice(0, end).replace(/\s{2,}# .*$/, ''),
          output: text.slice(end + 1).trim(),
        };
      }),
  );
}

/** Whether a text is what a page shows; spaces at the ends of lines are nobody's business. */
export function isShown(output: string, text: string): boolean {
  const pattern = output
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('[^]*?');
  return new RegExp(`^${pattern}$`).test(text.replaceAll('\r', '').trim());
}
