import type { Command } from './command';
import { DEPLOY_OPTIONS } from './deploy/deploy-options';

/** `slipway preview`: what `slipway up` would change. */
export const preview: Command = {
  arguments: [{ name: 'spec file', description: 'a service as YAML or JSON, with the section kubernetes' }],
  options: DEPLOY_OPTIONS,
  details: 'Changes nothing in the cluster. Without the Pulumi CLI, slipway verify previews by itself.',
  run: async (given, terminal) => {
    const { runOnStack } = await import('./deploy/run-on-stack.js');
    await runOnStack('preview', given, terminal);
  },
};
