import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { emptyFolder } from './cdk-cli';
import { newPlainService } from './plain-service';
import { FLAGS, newCluster, newFargateService, newStack } from './stacks';

/** What a stack holds whose synthesis is measured. */
export type Fill = (stack: Stack) => void;

export const NETWORK: Fill = (stack) => newCluster(stack);
/** A service of ours, on the network. */
export const OURS: Fill = (stack) => newFargateService(stack, { cluster: newCluster(stack), plaintextInsideVpc: true });
/** The same resources without us, on the same network. */
export const PLAIN: Fill = (stack) => newPlainService(stack, newCluster(stack));

export function appOf(stacks: number, fill: Fill): App {
  const app = new App({ context: FLAGS.recommended, outdir: emptyFolder(), analyticsReporting: false });
  for (let i = 0; i < stacks; i++) fill(new Stack(app, `Stack${i}`));
  return app;
}

export function templateOf(fill: Fill): unknown {
  const stack = newStack();
  fill(stack);
  return Template.fromStack(stack).toJSON();
}
