import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CounterGains } from '../../runtime/canary/counter-gains';

test('counts from the first look on', () => {
  const gains = new CounterGains();
  gains.look([{ series: 'pod-1', group: 'ok', value: 1_000 }]);
  gains.look([{ series: 'pod-1', group: 'ok', value: 1_040 }]);
  expect(gains.gained('ok')).toBe(40);
});

test('a counter that comes later counts from nothing: the first errors of a canary are not lost', () => {
  const gains = new CounterGains();
  gains.look([{ series: 'pod-1', group: 'ok', value: 10 }]);
  gains.look([
    { series: 'pod-1', group: 'ok', value: 10 },
    { series: 'pod-1', group: 'error', value: 25 },
  ]);
  expect(gains.gained('error')).toBe(25);
});

test('a counter that fell began anew, and one that went keeps what it gained', () => {
  const gains = new CounterGains();
  gains.look([]);
  gains.look([{ series: 'pod-1', group: 'ok', value: 100 }]);
  gains.look([{ series: 'pod-1', group: 'ok', value: 7 }]);
  gains.look([{ series: 'pod-2', group: 'ok', value: 3 }]);
  expect(gains.gained('ok')).toBe(110);
});

test('what replicas really answered is what is counted, however often somebody looks, and wherever they restart', () => {
  const step = fc.record({
    series: fc.constantFrom('pod-1', 'pod-2', 'pod-3'),
    more: fc.nat(50),
    restarts: fc.boolean(),
    isLooked: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const gains = new CounterGains();
      const live = new Map<string, number>();
      let answered = 0;
      const look = (): void => gains.look([...live].map(([series, value]) => ({ series, group: 'ok', value })));
      look();
      for (const { series, more, restarts, isLooked } of steps) {
        if (restarts) {
          // Whoever looks just before and just after sees every restart.
          look();
          live.set(series, 0);
          look();
        }
        live.set(series, (live.get(series) ?? 0) + more);
        answered += more;
        if (isLooked) look();
      }
      look();
      expect(gains.gained('ok')).toBe(answered);
    }),
  );
});
