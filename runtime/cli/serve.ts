import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { CliError } from './cli-error';
import type { Command, CommandOption, ParsedArguments } from './command';
import { packageRoot } from '../image/image-context';
import { ENVIRONMENT, flagOfVariable, readEnvironment, type EnvironmentVariable } from '../spec/environment';
import { SpecError } from '../spec/errors';

const ROWS: readonly EnvironmentVariable[] = Object.values(ENVIRONMENT);

/** Where the server of a machine differs from that of a container: no load balancer has to be told that it goes away. */
const BY_HAND: Readonly<Record<string, string>> = { [ENVIRONMENT.deregistrationLagSeconds.variable]: '0' };

/** `slipway serve`: the server of the image, in this very process, so that signals reach it directly. */
export const serve: Command = {
  arguments: [],
  options: Object.fromEntries(ROWS.map((row) => [optionName(row), optionOf(row)])),
  details:
    'Every flag is the SLIPWAY_ variable of the same name: --http-port is SLIPWAY_HTTP_PORT, and a flag wins. ' +
    'Ctrl-C drains: the server finishes what it has accepted and exits 0.',
  run: async (given) => {
    const server = installedServer();
    const fromFlags = variablesOf(given);
    const environment = { ...BY_HAND, ...process.env, ...fromFlags };
    assertEnvironment(environment, fromFlags);
    Object.assign(process.env, environment);
    await import(pathToFileURL(server).href);
  },
};

/** Path of the server's bundle. @throws CliError where it, or what it runs models with, is not installed */
export function installedServer(): string {
  const server = path.join(packageRoot(), 'dist', 'server.mjs');
  assertInstalled(server);
  return server;
}

function optionName(row: EnvironmentVariable): string {
  return flagOfVariable(row.variable).slice('--'.length);
}

function optionOf(row: EnvironmentVariable): CommandOption {
  const byDefault = BY_HAND[row.variable] ?? row.default;
  const fallback = byDefault === undefined ? '' : ` (${String(byDefault)})`;
  if (row.type === 'boolean') return { type: 'boolean', description: row.description };
  const value = row.type === 'choice' ? row.choices.join('|') : row.type === 'string' ? 'text' : 'number';
  return { type: 'string', value, description: `${row.description}${fallback}` };
}

function variablesOf(given: ParsedArguments): Record<string, string> {
  return Object.fromEntries(
    ROWS.flatMap((row) => {
      const value = row.type === 'boolean' ? given.flag(optionName(row)) || undefined : given.text(optionName(row));
      return value === undefined ? [] : [[row.variable, String(value)]];
    }),
  );
}

function assertInstalled(server: string): void {
  if (!existsSync(server)) throw new CliError(`${server} is missing; run npm run build`);
  try {
    createRequire(server).resolve('onnxruntime-node');
  } catch {
    throw new CliError(
      'serving needs onnxruntime-node, which is not installed; run npm install --ignore-scripts onnxruntime-node@1.30.0 (its script downloads 400 MB of CUDA)',
    );
  }
}

// The server reads the same table again; reading it here too lets the message name what was typed: the flag.
function assertEnvironment(environment: NodeJS.ProcessEnv, fromFlags: Record<string, string>): void {
  try {
    readEnvironment(environment);
  } catch (error) {
    if (SpecError.is(error) && error.path in fromFlags) {
      throw new CliError(error.message.replace(`${error.code} ${error.path}`, flagOfVariable(error.path)));
    }
    throw error;
  }
}
