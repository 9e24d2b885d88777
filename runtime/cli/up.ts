import type { Command } from './command';
import { DEPLOY_OPTIONS } from './deploy/deploy-options';

/** `slipway up`: what a spec file says, deployed to a cluster without a program of one's own. */
export const up: Command = {
  arguments: [{ name: 'spec file', description: 'a service as YAML or JSON, with the section kubernetes' }],
  options: DEPLOY_OPTIONS,
  details:
    "Pulumi's Automation API declares the InferenceService of slipway/pulumi and waits until it is available. Needs the Pulumi " +
    'CLI, @pulumi/pulumi and @pulumi/kubernetes. slipway preview shows what would happen.',
  run: async (given, terminal) => {
    const { runOnStack } = await import('./deploy/run-on-stack.js');
    await runOnStack('up', given, terminal);
  },
};
