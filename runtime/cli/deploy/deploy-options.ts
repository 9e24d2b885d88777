import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { CliError } from '../cli-error';
import type { CommandOption, ParsedArguments } from '../command';
import { readServiceFile, type DeploySection, type ServiceFile } from '../spec-file';
import { KUBERNETES_OPTIONS, withFlags } from '../render-options';
import type { DeployedTo } from './service-program';

/** Flags about the stack; they win over the section `deploy` of the spec file. */
export const STACK_OPTIONS: Readonly<Record<string, CommandOption>> = {
  stack: { type: 'string', value: 'name', description: 'stack (deploy.stack, dev)' },
  backend: {
    type: 'string',
    value: 'url',
    description:
      'where the state lies, as pulumi login takes it (deploy.backend, PULUMI_BACKEND_URL, .slipway/pulumi beside the spec file)',
  },
  'install-plugins': {
    type: 'boolean',
    description: 'let Pulumi download the plugins that it misses, from its own site; otherwise it says which',
  },
};

/** Flags about what is deployed, and where to. */
export const DEPLOY_OPTIONS: Readonly<Record<string, CommandOption>> = {
  ...STACK_OPTIONS,
  kubeconfig: { type: 'string', value: 'file', description: 'kubeconfig of the cluster (deploy.kubeconfig)' },
  context: { type: 'string', value: 'name', description: 'context of the kubeconfig (deploy.context)' },
  ...KUBERNETES_OPTIONS,
};

/** Which state is meant, and how it is kept. */
export interface StackChoice {
  readonly project: string;
  readonly stack: string;
  readonly backend: string;
  readonly secretsProvider: string | undefined;
  /** Where Pulumi keeps the settings of the stack. */
  readonly folder: string;
  readonly installPlugins: boolean;
}

/** The spec file of a command line, with its flags. @throws CliError, UsageError */
export function readDeployedFile(given: ParsedArguments): ServiceFile {
  const service = readServiceFile(given.argument('spec file'));
  return { ...service, kubernetes: withFlags(service.kubernetes, given) };
}

/** @throws CliError where nothing encrypts the secrets of the state. */
export function chooseStack(given: ParsedArguments, { spec, deploy }: ServiceFile): StackChoice {
  const beside = path.resolve(path.dirname(given.argument('spec file')));
  const backend = chooseBackend(given.text('backend'), deploy.backend, beside);
  assertSecrets(backend, deploy.secretsProvider);
  return {
    project: spec.name,
    stack: given.text('stack') ?? deploy.stack ?? 'dev',
    backend,
    secretsProvider: deploy.secretsProvider,
    folder: path.join(beside, '.slipway', spec.name),
    installPlugins: given.flag('install-plugins'),
  };
}

/**
 * The cluster that was named: a context, or a kubeconfig, whose own current context is then meant.
 * @throws CliError where neither is: the current context of whoever types is not what a file deploys to.
 */
export function chooseCluster(given: ParsedArguments, deploy: DeploySection): DeployedTo {
  const flag = given.text('kubeconfig');
  const kubeconfig = flag === undefined ? deploy.kubeconfig : path.resolve(flag);
  if (kubeconfig !== undefined && !existsSync(kubeconfig)) throw new CliError(`${kubeconfig}: does not exist`);
  const context = given.text('context') ?? deploy.context ?? currentContext(kubeconfig);
  return { ...(kubeconfig === undefined ? {} : { kubeconfig }), context };
}

function currentContext(kubeconfig: string | undefined): string {
  if (kubeconfig === undefined) {
    throw new CliError(
      'no cluster is named: give --context, or deploy.context in the spec file; kubectl config get-contexts lists them',
    );
  }
  const content = parse(readFileSync(kubeconfig, 'utf8')) as { 'current-context'?: unknown } | null;
  const context = content?.['current-context'];
  if (typeof context === 'string' && context !== '') return context;
  throw new CliError(`${kubeconfig}: has no current-context; give --context, or deploy.context in the spec file`);
}

function chooseBackend(flag: string | undefined, field: string | undefined, beside: string): string {
  if (flag !== undefined) return absolute(flag, process.cwd());
  if (field !== undefined) return absolute(field, beside);
  const known = process.env['PULUMI_BACKEND_URL'];
  return known !== undefined && known !== '' ? known : `file://${path.join(beside, '.slipway', 'pulumi')}`;
}

/** Pulumi runs in another folder, where a relative path would be another one. */
function absolute(backend: string, from: string): string {
  if (!backend.startsWith('file://')) return backend;
  const target = backend.slice('file://'.length);
  return `file://${target.startsWith('~') ? path.join(homedir(), target.slice(1)) : path.resolve(from, target)}`;
}

function assertSecrets(backend: string, secretsProvider: string | undefined): void {
  const keepsKeys = /^https?:/.test(backend);
  const isPassphrase = secretsProvider === undefined || secretsProvider === 'passphrase';
  const names = ['PULUMI_CONFIG_PASSPHRASE', 'PULUMI_CONFIG_PASSPHRASE_FILE'];
  if (!isPassphrase || (keepsKeys && secretsProvider === undefined)) return;
  if (names.some((name) => process.env[name] !== undefined)) return;
  throw new CliError(
    `PULUMI_CONFIG_PASSPHRASE is not set: secrets of the state in ${backend} are encrypted with it; ` +
      'set it (to nothing, where nothing is secret), PULUMI_CONFIG_PASSPHRASE_FILE, or deploy.secretsProvider in the spec file',
  );
}
