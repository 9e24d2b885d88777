import { expect } from 'vitest';
import { SpecError, type SpecErrorCode } from '../../runtime/spec/errors';
import { readModelConfiguration, type ModelConfiguration } from '../../runtime/spec/model-configuration';

export function read(text: string): ModelConfiguration {
  return readModelConfiguration(text, 'config.pbtxt');
}

export function expectRefused(text: string, code: SpecErrorCode, message: string | RegExp): void {
  let refusal: unknown;
  try {
    read(text);
  } catch (error) {
    refusal = error;
  }
  if (!SpecError.is(refusal)) throw new Error(`the text was not refused: ${String(refusal)}`);
  expect(refusal.code).toBe(code);
  if (typeof message === 'string') expect(refusal.message).toBe(`${code} ${message}`);
  else expect(refusal.message).toMatch(message);
}
