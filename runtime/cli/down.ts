import { CliError } from './cli-error';
import type { Command } from './command';
import { STACK_OPTIONS } from './deploy/deploy-options';

/** `slipway down`: deletes what `slipway up` made. */
export const down: Command = {
  arguments: [{ name: 'spec file', description: 'the spec file that slipway up was given' }],
  options: { yes: { type: 'boolean', description: 'really delete; without it nothing happens' }, ...STACK_OPTIONS },
  details: 'Deletes every object of the stack, from the cluster that the state names. The record of the stack stays.',
  run: async (given, terminal) => {
    if (!given.flag('yes')) {
      throw new CliError(`this deletes everything that slipway up made of ${given.argument('spec file')}; add --yes`);
    }
    const { destroyStack } = await import('./deploy/run-on-stack.js');
    await destroyStack(given, terminal);
  },
};
