/** `8.2 G`; `unknown` where nobody knows. */
export function formatQuantity(value: number | undefined): string {
  return scaled(value, 1_000, ['', ' K', ' M', ' G', ' T', ' P']);
}

/** `101.0 KiB`; `unknown` where nobody knows. */
export function formatBytes(value: number | undefined): string {
  return scaled(value, 1_024, [' bytes', ' KiB', ' MiB', ' GiB', ' TiB']);
}

function scaled(value: number | undefined, base: number, units: readonly string[]): string {
  if (value === undefined) return 'unknown';
  let unit = 0;
  let rest = value;
  while (rest >= base && unit < units.length - 1) {
    rest /= base;
    unit += 1;
  }
  return `${unit === 0 ? rest : rest.toFixed(1)}${units[unit]!}`;
}
