export interface RetrievalResult {
  readonly rows: number;
  /** Rows that have another one of their label, and so something to be found. */
  readonly queries: number;
  /** Share of queries with a row of their label among the k most similar others. */
  readonly recallAt: readonly { readonly k: number; readonly recall: number }[];
  /** Mean of 1 ÷ rank of the first row of the same label. */
  readonly meanReciprocalRank: number;
}

const RECALLS_AT = [1, 5, 10];

/** Looks for each row among all others by cosine similarity. Time grows with the square of the rows. */
export class RetrievalTally {
  readonly #vectors: Float64Array[] = [];
  readonly #labels: number[] = [];

  get rows(): number {
    return this.#labels.length;
  }

  add(label: number, vector: ArrayLike<number>): void {
    this.#labels.push(label);
    this.#vectors.push(normalized(vector));
  }

  result(): RetrievalResult {
    const ranks = this.#vectors.flatMap((_, query) => this.#rankOf(query) ?? []);
    return {
      rows: this.rows,
      queries: ranks.length,
      recallAt: RECALLS_AT.map((k) => ({ k, recall: ranks.filter((rank) => rank <= k).length / ranks.length })),
      meanReciprocalRank: ranks.reduce((sum, rank) => sum + 1 / rank, 0) / ranks.length,
    };
  }

  /** Place of the most similar row with the same label, from 1; what is just as similar and another label comes before it. */
  #rankOf(query: number): number | undefined {
    const similarities = this.#vectors.map((vector) => dot(this.#vectors[query]!, vector));
    let best = -Infinity;
    let isAny = false;
    for (let i = 0; i < similarities.length; i++) {
      if (i === query || this.#labels[i] !== this.#labels[query]) continue;
      isAny = true;
      best = Math.max(best, similarities[i]!);
    }
    if (!isAny) return undefined;
    let rank = 1;
    for (let i = 0; i < similarities.length; i++) {
      if (this.#labels[i] !== this.#labels[query] && !(similarities[i]! < best)) rank += 1;
    }
    return rank;
  }
}

export interface SimilarityResult {
  readonly rows: number;
  readonly pairs: number;
  /** Spearman's rank correlation of the cosine similarity of pairs with what they were labelled. */
  readonly spearman: number;
}

/** Rows in pairs, the first with the second and so on, and how similar people find each pair. */
export class SimilarityTally {
  #rows = 0;
  #before: Float64Array | undefined;
  readonly #labels: number[] = [];
  readonly #similarities: number[] = [];

  get isEven(): boolean {
    return this.#before === undefined;
  }

  /** The label of a pair is that of its second row. */
  add(label: number, vector: ArrayLike<number>): void {
    this.#rows += 1;
    const now = normalized(vector);
    if (this.#before === undefined) {
      this.#before = now;
      return;
    }
    this.#labels.push(label);
    // Two pairs of equal vectors are equally similar, whatever the last bit of their products says.
    this.#similarities.push(Math.fround(dot(this.#before, now)));
    this.#before = undefined;
  }

  result(): SimilarityResult {
    return { rows: this.#rows, pairs: this.#labels.length, spearman: spearman(this.#similarities, this.#labels) };
  }
}

function normalized(vector: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(vector);
  const length = Math.sqrt(dot(values, values));
  return length > 0 ? values.map((value) => value / length) : values;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Correlation of ranks; equal values share the mean of their ranks. Not a number where all of one side are equal. */
export function spearman(left: readonly number[], right: readonly number[]): number {
  const [a, b] = [ranksOf(left), ranksOf(right)];
  const middle = (left.length + 1) / 2;
  let both = 0;
  let ofA = 0;
  let ofB = 0;
  for (let i = 0; i < left.length; i++) {
    both += (a[i]! - middle) * (b[i]! - middle);
    ofA += (a[i]! - middle) ** 2;
    ofB += (b[i]! - middle) ** 2;
  }
  return both / Math.sqrt(ofA * ofB);
}

function ranksOf(values: readonly number[]): Float64Array {
  const order = values.map((_, i) => i).sort((i, k) => values[i]! - values[k]!);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length;) {
    let to = from + 1;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to += 1;
    for (let i = from; i < to; i++) ranks[order[i]!] = (from + to + 1) / 2;
    from = to;
  }
  return ranks;
}
