import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planBatching, type BatchPolicy, type QueuePolicy } from '../../runtime/server/batch-policy';
import { Cancellation } from '../../runtime/server/cancellation';
import { ServerError } from '../../runtime/server/errors';
import { POISON, VirtualBatcher, type ObservedRun, type VirtualOptions } from './harness/virtual-batcher';

interface Arrival {
  readonly at: number;
  readonly rows: number;
  readonly width: number;
  readonly priority: number;
  readonly tenant: string;
  readonly patienceMs: number;
  readonly queueTimeoutMs: number | undefined;
  readonly cancelMs: number | undefined;
  readonly isPoison: boolean;
}

interface Plan {
  readonly policy: BatchPolicy;
  readonly executors: number;
  readonly ahead: boolean;
  readonly runMs: number;
  readonly arrivals: readonly Arrival[];
  readonly fates: readonly ('works' | 'refused' | 'lost')[];
}

const arrival: fc.Arbitrary<Arrival> = fc.record({
  at: fc.integer({ min: 0, max: 120 }),
  rows: fc.integer({ min: 0, max: 4 }),
  width: fc.integer({ min: 1, max: 3 }),
  priority: fc.integer({ min: 0, max: 4 }),
  tenant: fc.constantFrom('', 'a', 'b'),
  patienceMs: fc.oneof(
    { weight: 3, arbitrary: fc.constant(Infinity) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 90 }) },
  ),
  queueTimeoutMs: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 4 }),
  cancelMs: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 4 }),
  isPoison: fc.integer({ min: 0, max: 11 }).map((n) => n === 0),
});

const queue: fc.Arbitrary<QueuePolicy> = fc.record({
  timeoutAction: fc.constantFrom('REJECT' as const, 'DELAY' as const),
  defaultTimeoutMs: fc.constantFrom(Infinity, 40),
  allowTimeoutOverride: fc.boolean(),
  maxQueueSize: fc.constantFrom(Infinity, 3),
});

const policy: fc.Arbitrary<BatchPolicy> = fc
  .record({
    maxBatchRows: fc.constantFrom(4, 5, 8),
    pads: fc.boolean(),
    preferredBatchSizes: fc.constantFrom([], [2, 4], [3]),
    maxQueueDelayMs: fc.constantFrom(0, 0, 0.4, 7),
    preserveOrdering: fc.boolean(),
    priorityLevels: fc.integer({ min: 1, max: 3 }),
    queues: fc.array(queue, { minLength: 3, maxLength: 3 }),
    queueDepthRows: fc.constantFrom(6, 20, 1_000),
    queueSeconds: fc.constantFrom(Infinity, 0.03),
  })
  .map(({ pads, ...rest }) => ({
    ...rest,
    defaultPriorityLevel: Math.min(2, rest.priorityLevels),
    allowedBatchSizes: pads ? [1, 2, 4, rest.maxBatchRows] : [],
  }));

const plan: fc.Arbitrary<Plan> = fc.record({
  policy,
  executors: fc.integer({ min: 1, max: 3 }),
  ahead: fc.boolean(),
  // Only short runs are handed over ahead.
  runMs: fc.constantFrom(3, 11),
  arrivals: fc.array(arrival, { minLength: 1, maxLength: 60, size: 'max' }),
  fates: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.constantFrom('works', 'works', 'works', 'refused', 'lost'), {
        maxLength: 20,
        size: 'max',
      }),
    },
  ),
});

/** Numbers of the rows of the i-th request: no two rows have the same. */
function numbersOf({ rows, isPoison }: Arrival, i: number): number[] {
  return Array.from({ length: rows }, (_, row) => (isPoison && row === rows - 1 ? POISON : 10 * (i + 1) + row));
}

/** The requests that a run was made of, by the numbers of their rows; those without rows leave no trace. */
function requestsOf({ rows }: ObservedRun): number[] {
  const requests = rows.filter((number) => number > 0).map((number) => Math.floor(number / 10) - 1);
  return [...new Set(requests)];
}

function queueTimeout(
  { queueTimeoutMs, priority }: Arrival,
  { queues, priorityLevels, defaultPriorityLevel }: BatchPolicy,
): { readonly timeoutAction: string; readonly ms: number } {
  const level = priority >= 1 && priority <= priorityLevels ? priority : defaultPriorityLevel;
  const { timeoutAction, defaultTimeoutMs, allowTimeoutOverride } = queues[level - 1]!;
  const own = queueTimeoutMs === undefined || queueTimeoutMs === 0 ? Infinity : queueTimeoutMs;
  return { timeoutAction, ms: allowTimeoutOverride ? Math.min(own, defaultTimeoutMs) : defaultTimeoutMs };
}

class Play {
  readonly virtual: VirtualBatcher;
  readonly outcomes: string[] = [];
  readonly settled: number[];
  private refused = 0;

  constructor(readonly plan: Plan) {
    const options: VirtualOptions = {
      policy: plan.policy,
      executors: plan.executors,
      ahead: plan.ahead,
      runMs: (rows) => plan.runMs + rows / 2,
      fate: (run) => {
        // A refusal is no run: without a count of its own the same one would come again and again.
        const fate = plan.fates[run + this.refused] ?? 'works';
        if (fate === 'refused') this.refused += 1;
        return fate;
      },
    };
    this.virtual = new VirtualBatcher(options);
    this.settled = new Array<number>(plan.arrivals.length).fill(0);
  }

  async run(): Promise<void> {
    const { time } = this.virtual;
    this.plan.arrivals.forEach((one, i) => time.after(one.at, () => this.arrive(one, i)));
    time.onQuiet = () => this.assertNobodyWaitsInVain();
    await time.run();
  }

  private arrive(one: Arrival, i: number): void {
    const { time } = this.virtual;
    const cancellation = new Cancellation();
    const deadlineAt = time.now() + one.patienceMs;
    const { width, priority, tenant, queueTimeoutMs } = one;
    void this.virtual
      .outcome(numbersOf(one, i), { width, priority, tenant, queueTimeoutMs, cancellation, deadlineAt })
      .then((outcome) => {
        this.outcomes[i] = outcome;
        this.settled[i]! += 1;
      });
    if (one.cancelMs !== undefined)
      time.after(one.cancelMs, () => cancellation.cancel(new ServerError('CLIENT_GONE', 'gone')));
    // What the server does for every request.
    if (deadlineAt !== Infinity)
      time.after(one.patienceMs, () => cancellation.cancel(new ServerError('DEADLINE', 'late')));
    this.assertBounded();
  }

  private assertBounded(): void {
    const { queueDepthRows, maxBatchRows } = this.plan.policy;
    const { queuedRows } = this.virtual.batcher;
    // What a lost executor gives back, or is taken back for a free one, was let in before.
    const { fates, ahead, executors } = this.plan;
    const returned = fates.length > 0 || ahead ? executors * maxBatchRows : 0;
    expect(queuedRows, 'rows that wait').toBeLessThanOrEqual(queueDepthRows + returned);
  }

  private assertNobodyWaitsInVain(): void {
    if (this.plan.policy.maxQueueDelayMs > 0 || this.virtual.batcher.queuedRows === 0) return;
    expect(this.virtual.idle.length, 'executors that are free while requests wait').toBe(0);
  }
}

const RUNS = 600;

async function assertEachAnsweredOnce(given: Plan, seen: Set<string>): Promise<VirtualBatcher> {
  const play = new Play(given);
  await play.run();
  const { virtual, outcomes, settled } = play;
  const { policy: rules, arrivals } = given;
  expect(settled, 'how often each request was answered').toEqual(arrivals.map(() => 1));
  expect(virtual.batcher.queuedRows, 'rows that still wait').toBe(0);
  arrivals.forEach((one, i) => {
    const allowed = [`ok ${numbersOf(one, i).join()}`, 'QUEUE_FULL', 'DEADLINE', 'CLIENT_GONE', 'EXECUTOR_LOST'];
    expect(one.isPoison && one.rows > 0 ? [...allowed.slice(1), 'RUN_REFUSED'] : allowed).toContain(outcomes[i]);
    seen.add(outcomes[i]!.slice(0, 2) === 'ok' ? 'ok' : outcomes[i]!);
    if (one.cancelMs === undefined) expect(outcomes[i]).not.toBe('CLIENT_GONE');
    if (one.patienceMs === Infinity && rules.queues.every(({ defaultTimeoutMs }) => defaultTimeoutMs === Infinity)) {
      if (one.queueTimeoutMs === undefined) expect(outcomes[i]).not.toBe('DEADLINE');
    }
  });

  const succeeded = new Set<number>();
  const begun = new Set<number>();
  for (const run of virtual.runs) {
    if (rules.allowedBatchSizes.length > 0) expect(rules.allowedBatchSizes).toContain(run.rows.length);
    expect(run.rows.length).toBeLessThanOrEqual(rules.maxBatchRows);
    const requests = requestsOf(run);
    for (const i of requests) {
      const one = arrivals[i]!;
      expect(one.width, 'shape of a request in the run').toBe(run.width);
      const numbers = numbersOf(one, i);
      const from = run.rows.indexOf(numbers[0]!);
      expect(run.rows.slice(from, from + numbers.length), 'rows of a request lie together').toEqual(numbers);
      // The clock of a test goes on a little with every turn.
      expect(run.at, 'begin of a run of an expired request').toBeLessThan(one.at + one.patienceMs + 1);
      const { timeoutAction, ms } = queueTimeout(one, rules);
      if (!begun.has(i) && timeoutAction === 'REJECT') expect(run.at).toBeLessThan(one.at + ms + 1);
      begun.add(i);
      if (run.hasFailed) continue;
      expect(succeeded.has(i), 'a request that was run twice').toBe(false);
      succeeded.add(i);
    }
  }
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.startsWith('ok') && arrivals[i]!.rows > 0) expect(succeeded.has(i)).toBe(true);
  }
  return virtual;
}

test('no row is lost, doubled or given to another request, and no expired one is run, whatever comes', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(plan, async (given) => {
      await assertEachAnsweredOnce(given, seen);
    }),
    { numRuns: RUNS },
  );
  expect([...seen].sort()).toEqual(['CLIENT_GONE', 'DEADLINE', 'EXECUTOR_LOST', 'QUEUE_FULL', 'RUN_REFUSED', 'ok']);
});

test('nor is one where batches are handed over ahead', async () => {
  const crowded = plan.map((given) => ({
    ...given,
    ahead: true,
    runMs: 3,
    policy: {
      ...given.policy,
      queues: given.policy.queues.map((one) => ({
        ...one,
        maxQueueSize: Infinity,
        defaultTimeoutMs: Infinity,
        allowTimeoutOverride: false,
      })),
    },
    // Who gives up is in a batch with others, which is run all the same.
    arrivals: given.arrivals.map((one) => ({ ...one, at: Math.floor(one.at / 6), patienceMs: Infinity })),
  }));
  let [ahead, takenBack] = [0, 0];
  await fc.assert(
    fc.asyncProperty(crowded, async (given) => {
      const virtual = await assertEachAnsweredOnce(given, new Set());
      ahead += virtual.tookAhead;
      takenBack += virtual.takenBack;
    }),
    { numRuns: RUNS / 2 },
  );
  expect(ahead, 'runs that were handed over ahead').toBeGreaterThan(RUNS / 2);
  expect(takenBack, 'of those, taken back').toBeGreaterThan(0);
});

test('what is ahead of a run that does not end is run by another executor', async () => {
  const virtual = new VirtualBatcher({
    policy: { maxBatchRows: 4 },
    executors: 2,
    hasOneShape: true,
    ahead: true,
    expectedMs: 5,
    runMs: (rows) => (rows === 3 ? 60_000 : 5),
  });
  const { time } = virtual;
  const answered: number[] = [];
  const ask = (...numbers: number[]): void =>
    void virtual.call(numbers).then(() => {
      answered.push(time.now());
    });
  ask(1, 2, 3);
  await time.run(1);
  for (const from of [10, 20, 30, 40]) ask(from, from + 1, from + 2, from + 3);
  await time.run(1_000);
  expect(virtual.takenBack).toBe(1);
  expect(answered).toHaveLength(4);
});

test('requests of one client, priority and shape begin in the order in which they came', async () => {
  const calm = plan.map(({ fates: _, ...rest }) => ({
    ...rest,
    fates: [],
    policy: {
      ...rest.policy,
      queues: rest.policy.queues.map((one) => ({ ...one, timeoutAction: 'REJECT' as const })),
    },
    arrivals: rest.arrivals.map((one) => ({ ...one, isPoison: false })),
  }));
  await fc.assert(
    fc.asyncProperty(calm, async (given) => {
      const play = new Play(given);
      await play.run();
      const last = new Map<string, number>();
      const { defaultPriorityLevel, priorityLevels } = given.policy;
      for (const run of play.virtual.runs) {
        for (const i of requestsOf(run)) {
          const { tenant, priority, width, at } = given.arrivals[i]!;
          const level = priority >= 1 && priority <= priorityLevels ? priority : defaultPriorityLevel;
          const client = `${tenant}/${level}/${width}`;
          // Requests of the same moment arrive in the order of the list.
          const order = at * 1_000 + i;
          expect(order).toBeGreaterThan(last.get(client) ?? -1);
          last.set(client, order);
        }
      }
    }),
    { numRuns: RUNS / 3 },
  );
});

test('nobody who is let in waits longer than the queue may be, when runs take what they are expected to', async () => {
  const queueSeconds = 0.05;
  const { queues } = planBatching({ queueDepthRows: 1, maxQueueDelayMicroseconds: 0 }, 8);
  const flood = fc.record({
    maxBatchRows: fc.integer({ min: 1, max: 8 }),
    executors: fc.integer({ min: 1, max: 3 }),
    tenants: fc.integer({ min: 1, max: 3 }),
    gaps: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 50, maxLength: 150, size: 'max' }),
  });
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(flood, async ({ maxBatchRows, executors, tenants, gaps }) => {
      const virtual = new VirtualBatcher({
        policy: { maxBatchRows, queueSeconds, queues },
        executors,
        hasOneShape: true,
        runMs: (rows) => 8 + rows,
      });
      const outcomes: Promise<string>[] = [];
      let at = 0;
      gaps.forEach((gap, i) => {
        at += gap;
        virtual.time.after(at, () => outcomes.push(virtual.outcome([i + 1], { tenant: `t${i % tenants}` })));
      });
      await virtual.time.run();
      const answers = await Promise.all(outcomes);
      refused += answers.filter((answer) => answer === 'QUEUE_FULL').length;
      // One run more: which of several executors is free first is only known on average.
      const longest = Math.max(...virtual.queuedSeconds);
      expect(longest).toBeLessThanOrEqual(queueSeconds + (8 + maxBatchRows) / 1_000);
    }),
    { numRuns: RUNS / 6 },
  );
  expect(refused).toBeGreaterThan(0);
});
