import { SpecError } from './errors';

/** A number of the spec or its default, checked against its range. Tokens and NaN are refused: numbers drive structure. */
export function number(path: string, given: number | undefined, fallback: number, min: number, max: number): number {
  const value = given ?? fallback;
  if (!Number.isFinite(value) || value < min || value > max) {
    throw new SpecError('NUMBER_INVALID', path, `must be a number from ${min} to ${max}, got ${String(value)}`);
  }
  return value;
}

export function integer(path: string, given: number | undefined, fallback: number, min: number, max: number): number {
  const value = number(path, given, fallback, min, max);
  if (!Number.isInteger(value)) {
    throw new SpecError('NUMBER_INVALID', path, `must be a whole number from ${min} to ${max}, got ${value}`);
  }
  return value;
}
