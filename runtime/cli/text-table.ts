/**
 * Rows as aligned columns, two spaces apart. The last column is wrapped at `width` and continues below its own
 * beginning, so nothing is cut and nothing runs over.
 */
export function formatTable(rows: readonly (readonly string[])[], width: number): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns - 1 }, (_, i) =>
    Math.max(...rows.filter((row) => row.length > i + 1).map((row) => row[i]!.length), 0),
  );
  return rows
    .map((row) => {
      const fixed = row.slice(0, -1).map((cell, i) => cell.padEnd(widths[i]!));
      const lead = [...fixed, ''].join('  ');
      const lines = wrapWords(row.at(-1)!, Math.max(20, width - lead.length));
      return lines.map((line, i) => `${i === 0 ? lead : ' '.repeat(lead.length)}${line}`.trimEnd()).join('\n');
    })
    .join('\n');
}

/** A paragraph broken between words. */
export function wrapText(text: string, width: number): string {
  return wrapWords(text, width).join('\n');
}

function wrapWords(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
