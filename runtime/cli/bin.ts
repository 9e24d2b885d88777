#!/usr/bin/env node
import { COMMANDS } from './commands';
import { runSlipway } from './run';

const terminal = {
  // A pipe or a file has no width, and text over a hundred columns is hard to read on any screen.
  width: Math.min(100, Math.max(60, process.stdout.columns ?? 100)),
  out: (text: string) => void process.stdout.write(`${text}\n`),
  err: (text: string) => void process.stderr.write(`${text}\n`),
};

// `slipway plan … | head` closes the pipe before everything is written: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

void runSlipway(process.argv.slice(2), terminal, COMMANDS).then((status) => {
  // Not process.exit: `serve` has only begun, and a pipe may still be draining.
  if (status !== 0) process.exitCode = status;
});
