import { setTimeout as sleep } from 'node:timers/promises';
import type { VerdictRules } from '../spec/kubernetes/verdict-rules';
import type { CanaryRoute } from './canary-route';
import { Prometheus, PrometheusError } from './prometheus';
import { TrackWatch } from './track-watch';
import { judge, type Verdict } from './verdict';

export interface JudgeOptions {
  readonly prometheusUrl: string;
  readonly namespace: string;
  /** Name of the Service that most requests go to, and of the canary's. */
  readonly stable: string;
  readonly canary: string;
  readonly rules: VerdictRules;
  /** Tells this canary from the one before it, in what is written down. */
  readonly revision: string;
  /** Those that a bad canary is taken out of. @default - none: the verdict is all that comes of it */
  readonly routes?: readonly CanaryRoute[];
  /** Between two looks at the metrics. @default 15 */
  readonly pollSeconds?: number;
}

/** Prometheus may be away for so long before the end, and the numbers still tell of the whole time. */
const STALE_SECONDS = 120;

/**
 * Watches a canary for the bake time, and takes it out of its routes when it is bad: at once when that is clear, else at the
 * end. A canary with too few requests keeps its weight: nothing is known against it.
 *
 * @throws PrometheusError when there are no numbers at the end, KubernetesApiError when the route cannot be read. A bad canary
 * that could not be taken out is bad all the same, and the sentence says so.
 */
export async function judgeCanary(options: JudgeOptions): Promise<Verdict> {
  const { routes = [], revision, rules } = options;
  const before = await refusedBefore(options);
  if (before !== undefined) return before;
  const verdict = await watch(options, Date.now() + rules.bakeSeconds * 1_000);
  if (verdict.outcome !== 'bad') return verdict;
  if (routes.length === 0) return verdict;
  const text = `${revision} ${verdict.outcome}: ${verdict.sentence}`.slice(0, 1_000);
  const closings = await Promise.allSettled(routes.map((route) => route.close(text)));
  const failed = closings.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
  const what =
    failed === undefined
      ? 'it has no traffic any more'
      : `its traffic could not be taken away (${(failed.reason as Error).message})`;
  return { ...verdict, sentence: `${verdict.sentence}; ${what}` };
}

/** Without traffic there is nothing to watch: it is the answer of a judge before this one, or somebody's own hand. */
async function refusedBefore({ routes = [], revision, canary }: JudgeOptions): Promise<Verdict | undefined> {
  if (routes.length === 0) return undefined;
  const found = await Promise.all(routes.map((route) => route.read()));
  if (found.some(({ weight }) => weight > 0)) return undefined;
  const verdict = found.find((route) => route.verdict?.startsWith(`${revision} `))?.verdict;
  const wayOut = 'give the canary other models or drop it';
  return verdict === undefined
    ? { outcome: 'not enough requests', sentence: `${canary} has weight 0 in its route, and no judge set it` }
    : {
        outcome: 'bad',
        sentence: `${verdict.slice(revision.length + 1)}; judged before, it has no traffic: ${wayOut}`,
      };
}

async function watch(options: JudgeOptions, endsAt: number): Promise<Verdict> {
  const prometheus = new Prometheus(options.prometheusUrl);
  const [stable, canary] = [options.stable, options.canary].map(
    (name) => new TrackWatch(prometheus, options.namespace, name),
  ) as [TrackWatch, TrackWatch];
  const pollMs = (options.pollSeconds ?? 15) * 1_000;
  let lookedAt = 0;
  for (;;) {
    const isOver = Date.now() >= endsAt;
    try {
      await Promise.all([stable.look(), canary.look()]);
      lookedAt = Date.now();
    } catch (error) {
      if (!(error instanceof PrometheusError)) throw error;
      if (isOver && Date.now() - lookedAt > STALE_SECONDS * 1_000) throw error;
    }
    const verdict = judge(stable.counts(), canary.counts(), options.rules, isOver);
    if (isOver || verdict.outcome === 'bad') return verdict;
    await sleep(Math.max(0, Math.min(pollMs, endsAt - Date.now())));
  }
}
