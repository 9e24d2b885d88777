import type { GateRequest } from '../model/evaluate/evaluation-report';
import { UsageError } from './cli-error';

/** The command whose flag it is, for messages, unless another one is named. */
const EVALUATE = 'slipway model evaluate';
const NUMBER = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** `98%` or `0.98`. A number above 1 without its sign could mean either, and is refused. */
export function parseShare(text: string, option: string, command = EVALUATE): number {
  const percent = text.endsWith('%');
  const digits = (percent ? text.slice(0, -1) : text).trim();
  const share = percent ? Number(digits) / 100 : Number(digits);
  // `1` might be 1 % to whoever wrote it; `1.0` and `100%` are not.
  if (NUMBER.test(digits) && share >= 0 && share <= 1 && (percent || digits !== '1')) return share;
  throw refuse(option, 'a share, as in 98% or 0.98', text, command);
}

const MILLISECONDS: Readonly<Record<string, number>> = { us: 1e-3, ms: 1, s: 1_000 };

/** `5ms`, `0.5s` or `800us`, in milliseconds. */
export function parseMilliseconds(text: string, option: string, command = EVALUATE): number {
  const [, digits = '', unit = ''] = /^([\d.]+)\s*(us|ms|s)$/.exec(text.trim()) ?? [];
  if (NUMBER.test(digits)) return Number(digits) * MILLISECONDS[unit]!;
  throw refuse(option, 'a time with its unit, as in 5ms, 0.5s or 800us', text, command);
}

const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** `20MB`, `19MiB` or a number of bytes. */
export function parseBytes(text: string, option: string, command = EVALUATE): number {
  const [, digits = '', unit = ''] = /^([\d.]+)\s*(B|kB|KB|MB|GB|KiB|MiB|GiB|)$/.exec(text.trim()) ?? [];
  if (NUMBER.test(digits)) return Number(digits) * BYTES[unit]!;
  throw refuse(option, 'a size, as in 20MB, 19MiB or 20000000', text, command);
}

/** `metric=number`, where a percentage is a share. */
export function parseGates(texts: readonly string[], bound: GateRequest['bound']): readonly GateRequest[] {
  return texts.map((text) => {
    const at = text.indexOf('=');
    const metric = text.slice(0, Math.max(0, at)).trim();
    const given = text.slice(at + 1).trim();
    const limit = given.endsWith('%') ? Number(given.slice(0, -1)) / 100 : Number(given);
    if (metric !== '' && given !== '' && Number.isFinite(limit)) return { metric, bound, limit };
    throw refuse(bound, 'metric=number, as in f1Macro=0.9', text);
  });
}

function refuse(option: string, wanted: string, got: string, command = EVALUATE): UsageError {
  return new UsageError(`${command}: --${option} must be ${wanted}, got '${got}'`);
}
