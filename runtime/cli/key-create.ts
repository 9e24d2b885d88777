import { createHash, randomBytes } from 'node:crypto';
import { UsageError } from './cli-error';
import type { Command } from './command';

const GROUPS = ['infer', 'metadata', 'admin'];
const DEFAULT_GROUPS = ['infer', 'metadata'];
const KEY_BYTES = 32;

/** `slipway key create`: makes an API key, and the entry by which servers know it. */
export const keyCreate: Command = {
  arguments: [{ name: 'name', description: 'whose key it is: its name in the log, and the tenant of its requests' }],
  options: {
    group: {
      type: 'string',
      value: 'group',
      multiple: true,
      description: `what it may do: ${GROUPS.join(', ')}; by default ${DEFAULT_GROUPS.join(' and ')}`,
    },
    tenant: { type: 'string', value: 'tenant', description: 'whom the queue is shared by; by default the name' },
  },
  details:
    'Prints the entry for SLIPWAY_API_KEYS to standard output and the key itself, once, to standard error. ' +
    'Servers know only its SHA-256: a lost key cannot be found again.',
  run: (given, terminal) => {
    const name = given.argument('name');
    const tenant = given.text('tenant');
    const chosen = given.texts('group');
    const unknown = chosen.find((group) => !GROUPS.includes(group));
    if (unknown !== undefined) {
      throw new UsageError(`slipway key create: --group must be one of ${GROUPS.join(', ')}, got '${unknown}'`);
    }
    const key = `slipway_${randomBytes(KEY_BYTES).toString('base64url')}`;
    const entry = {
      name,
      sha256: createHash('sha256').update(key).digest('hex'),
      groups: chosen.length === 0 ? DEFAULT_GROUPS : chosen,
      ...(tenant === undefined ? {} : { tenant }),
    };
    terminal.out(JSON.stringify(entry));
    terminal.err(key);
    return Promise.resolve();
  },
};
