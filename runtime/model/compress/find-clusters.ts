/** Few values that stand for many. */
export interface Clusters {
  /** Ascending. */
  readonly values: Float64Array;
  /** Which of them each number became. */
  readonly places: Uint8Array;
}

const MAX_ROUNDS = 100;

/**
 * Finds the values that stand for a list of numbers with the least squares of differences (k-means in one dimension, by Lloyd's
 * iteration over the sorted list). Zeros stay zeros: what was pruned stays pruned. Always the same for the same list.
 * @param count Most values, 2 to 256.
 */
export function findClusters(numbers: ArrayLike<number>, count: number): Clusters {
  const sorted = Float64Array.from(numbers).sort();
  const hasZeros = sorted.includes(0);
  const others = hasZeros ? sorted.filter((value) => value !== 0) : sorted;
  const means = hasZeros ? count - 1 : count;
  const found = others.length === 0 ? [] : bestMeans(others, means);
  const values = Float64Array.from(new Set(hasZeros ? [...found, 0] : found)).sort();
  const limits = Float64Array.from(
    { length: Math.max(0, values.length - 1) },
    (_, i) => (values[i]! + values[i + 1]!) / 2,
  );
  const zero = values.indexOf(0);
  const places = new Uint8Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i]!;
    places[i] = hasZeros && number === 0 ? zero : firstAbove(limits, number);
  }
  return { values, places };
}

/** Values that lie evenly suit few large weights, values by rank suit many small ones: the better of the two counts. */
function bestMeans(sorted: Float64Array, count: number): readonly number[] {
  const distinct = distinctUpTo(sorted, count);
  if (distinct !== undefined) return distinct;
  const sums = new Float64Array(sorted.length + 1);
  for (let i = 0; i < sorted.length; i++) sums[i + 1] = sums[i]! + sorted[i]!;
  const [low, high] = [sorted[0]!, sorted.at(-1)!];
  const evenly = Array.from({ length: count }, (_, i) => low + ((i + 0.5) / count) * (high - low));
  const byRank = Array.from({ length: count }, (_, i) => sorted[Math.floor(((i + 0.5) / count) * sorted.length)]!);
  const [one, other] = [evenly, byRank].map((start) => iterate(sorted, sums, start));
  return one!.explained >= other!.explained ? one!.means : other!.means;
}

/** All values, where there are no more than so many. */
function distinctUpTo(sorted: Float64Array, count: number): readonly number[] | undefined {
  const values: number[] = [];
  for (const value of sorted) {
    if (value === values.at(-1)) continue;
    if (values.length === count) return undefined;
    values.push(value);
  }
  return values;
}

function iterate(
  sorted: Float64Array,
  sums: Float64Array,
  start: readonly number[],
): { readonly means: readonly number[]; readonly explained: number } {
  let means = [...start];
  // The sum of squares is constant: what the means explain of it is what the differences lack.
  let explained = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    explained = 0;
    let from = 0;
    const next = means.map((mean, i) => {
      const to = i === means.length - 1 ? sorted.length : firstAbove(sorted, (mean + means[i + 1]!) / 2);
      const size = to - from;
      const sum = sums[to]! - sums[from]!;
      from = to;
      if (size <= 0) return mean;
      explained += (sum * sum) / size;
      return sum / size;
    });
    const isSame = next.every((mean, i) => mean === means[i]);
    means = next;
    if (isSame) break;
  }
  return { means, explained };
}

/** How many of the ascending values are not larger. */
function firstAbove(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
