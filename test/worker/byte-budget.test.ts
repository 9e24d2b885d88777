import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteBudget } from '../../runtime/worker/byte-budget';

test('never more is held than there is room for, but for one thing that is larger than all of it; and everybody gets in', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 150 }), { maxLength: 30 }), async (sizes) => {
      const budget = new ByteBudget(100);
      const held = new Set<{ readonly bytes: number; readonly release: () => void }>();
      const order: number[] = [];
      const asked = sizes.map(async (bytes, i) => {
        const release = await budget.take(bytes);
        order.push(i);
        const mine = { bytes, release };
        held.add(mine);
        const sum = [...held].reduce((all, one) => all + one.bytes, 0);
        expect(sum <= 100 || [...held].filter((one) => one.bytes > 0).length === 1).toBe(true);
        await new Promise((resolve) => setImmediate(resolve));
        held.delete(mine);
        release();
        release();
      });
      await Promise.all(asked);
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }),
    { numRuns: 50 },
  );
});
