import { assertPrices, type PriceOverrides } from '../spec/prices';
import { UsageError } from './cli-error';

/**
 * Prices as `--price type=USD` gives them.
 * @throws UsageError for another form, SpecError for a type that nobody knows or a price that is none.
 */
export function readPrices(pairs: readonly string[]): PriceOverrides {
  const prices = Object.fromEntries(
    pairs.map((pair) => {
      const [, type, price] = /^([^=]+)=(\d+(?:\.\d+)?)$/.exec(pair) ?? [];
      if (type === undefined) {
        throw new UsageError(`--price must be an instance type and USD an hour, as in g6.xlarge=0.61, got '${pair}'`);
      }
      return [type, Number(price)];
    }),
  );
  assertPrices(prices, '--price');
  return prices;
}
