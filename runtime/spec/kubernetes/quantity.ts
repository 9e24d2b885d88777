/**
 * A number of CPUs, or another plain number, as the API server writes it back: `1500m`, `2`. Of several ways to write a
 * quantity the server keeps one, and any other would be a difference that every refresh finds again.
 */
export function decimalQuantity(value: number): string {
  const thousandths = Math.round(value * 1_000);
  return thousandths % 1_000 === 0 ? String(thousandths / 1_000) : `${thousandths}m`;
}

/** An amount of memory as the API server writes it back, in the largest unit that leaves no fraction: `1536Mi`, `2Gi`. */
export function memoryQuantity(mebibytes: number): string {
  let amount = Math.ceil(mebibytes);
  let unit = 'Mi';
  for (const larger of ['Gi', 'Ti']) {
    if (amount % 1_024 !== 0) break;
    amount /= 1_024;
    unit = larger;
  }
  return `${amount}${unit}`;
}
