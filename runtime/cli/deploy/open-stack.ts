import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { LocalWorkspaceOptions, PulumiCommand, PulumiFn, Stack } from '@pulumi/pulumi/automation';
import { programOnPath } from '../../testing/program-on-path';
import { CliError } from '../cli-error';
import type { StackChoice } from './deploy-options';

// The first minor version of the SDK's 3 that the components are held against, and the CLI's goes with it.
const FIRST_MINOR = 200;
const PACKAGES = ['@pulumi/pulumi', '@pulumi/kubernetes'];

/**
 * Opens the stack of a service through Pulumi's Automation API; a stack that is not there yet is made, unless `only` says
 * that it must be. The program runs in this very process.
 * @throws CliError without the packages or the CLI, with how to get them and how to do without.
 */
export async function openStack(
  choice: StackChoice,
  program: PulumiFn,
  specFile: string,
  only?: 'existing',
): Promise<Stack> {
  assertPackages();
  const pulumiCommand = await findPulumi(specFile);
  const automation = await import('@pulumi/pulumi/automation/index.js');
  makeFolders(choice);
  const workspace = await automation.LocalWorkspace.create(workspaceOptions(choice, program, pulumiCommand));
  try {
    return await (only === 'existing'
      ? automation.Stack.select(choice.stack, workspace)
      : automation.Stack.createOrSelect(choice.stack, workspace));
  } catch (error) {
    if (error instanceof automation.StackNotFoundError) {
      throw new CliError(`there is no stack '${choice.stack}' of '${choice.project}' in ${choice.backend}`);
    }
    throw failure(error);
  }
}

/** What Pulumi is told. Nothing phones home, and nothing is downloaded unless somebody asked for it. */
export function workspaceOptions(
  { project, backend, folder, secretsProvider, installPlugins }: StackChoice,
  program: PulumiFn,
  pulumiCommand: PulumiCommand,
): LocalWorkspaceOptions {
  return {
    program,
    pulumiCommand,
    workDir: folder,
    projectSettings: { name: project, runtime: 'nodejs', backend: { url: backend } },
    ...(secretsProvider === undefined ? {} : { secretsProvider }),
    envVars: {
      PULUMI_BACKEND_URL: backend,
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      ...(installPlugins ? {} : { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true' }),
    },
  };
}

/** What went wrong, in a line: Pulumi has printed the rest already. */
export function failure(error: unknown): CliError {
  if (error instanceof CliError) return error;
  const { name, message } = error as Error;
  if (name === 'ConcurrentUpdateError') {
    return new CliError('another update of this stack is under way; wait for it, or end it with pulumi cancel');
  }
  const said = /^ stderr: ([\s\S]*?)\n err\?:/m.exec(message)?.[1] ?? message;
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  const line = lines.find((each) => each.startsWith('error: ')) ?? lines[0] ?? 'it failed';
  // Pulumi asks for the words of a program where a delete has not ended in time, and a delete runs none.
  const more = message.includes('error hook not registered for')
    ? '; something was not gone in time, and Pulumi does not say why: kubectl describe of what is left does; run it once more'
    : '';
  return new CliError(`pulumi: ${line.trim().replace(/^error: /, '')}${more}`);
}

function assertPackages(): void {
  const missing = missingPackages();
  if (missing.length > 0) {
    throw new CliError(
      `deploying needs ${missing.join(' and ')}, not installed here; run npm install ${missing.join(' ')}`,
    );
  }
}

/** What a service cannot be declared without, and is not installed. */
export function missingPackages(): readonly string[] {
  return PACKAGES.filter((name) => {
    try {
      createRequire(__filename).resolve(name);
      return false;
    } catch {
      return true;
    }
  });
}

async function findPulumi(specFile: string): Promise<PulumiCommand> {
  const without = `; or do without it: slipway render ${specFile} | kubectl apply -f -`;
  const install = 'install it as https://www.pulumi.com/docs/install/ says';
  if (programOnPath('pulumi') === undefined) {
    throw new CliError(`the Pulumi CLI is not on the PATH; ${install}${without}`);
  }
  const { PulumiCommand } = await import('@pulumi/pulumi/automation/index.js');
  const command = await PulumiCommand.get({ skipVersionCheck: true }).catch((error: unknown) => {
    throw failure(error);
  });
  const { version } = command;
  if (version === null || version.major !== 3 || version.minor < FIRST_MINOR) {
    throw new CliError(
      `the Pulumi CLI on the PATH is version ${version?.version ?? 'unknown'}, and 3.${FIRST_MINOR} or a later 3 is needed; ${install}${without}`,
    );
  }
  return command;
}

function makeFolders({ folder, backend }: StackChoice): void {
  mkdirSync(folder, { recursive: true });
  // Pulumi wants the folder of a file backend to be there.
  if (backend.startsWith('file://')) mkdirSync(path.resolve(backend.slice('file://'.length)), { recursive: true });
}
