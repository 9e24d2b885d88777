import { isSecret, type PropertyValue } from 'slipway/testing';

/** What is left to read when every secret is covered. */
export function withoutSecrets(value: PropertyValue): PropertyValue {
  if (isSecret(value)) return '***';
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item as PropertyValue)]));
}
