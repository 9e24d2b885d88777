import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { expect } from 'vitest';
import { EXAMPLES, type ExampleProjects } from '../support/pulumi-examples';
import { slipway } from './terminal';

/** Verifies an example as its author would: the stack's configuration lies beside it, and nothing else is said. */
export async function verifyExample({ folder }: ExampleProjects, example: string): Promise<void> {
  const project = path.join(folder, example);
  const { name } = parse(readFileSync(path.join(project, 'Pulumi.yaml'), 'utf8')) as { name: string };
  const config = Object.entries(EXAMPLES[example]!).map(([key, value]) => [`${name}:${key}`, value]);
  writeFileSync(path.join(project, 'Pulumi.dev.yaml'), stringify({ config: Object.fromEntries(config) }));
  const { status, stdout, stderr } = await slipway('verify', project);
  expect(stdout, stderr).toMatch(/^program {5}passed {3}preview and up declare the same \d+ resources$/m);
  expect(stdout).toMatch(/^rules {7}passed {3}\d+ resources, 0 errors/m);
  expect(stdout).not.toContain('failed');
  expect(status, stderr).toBe(0);
}
