// `npm run test:pulumi-cli`: the real Pulumi CLI against a real API server, with no account: preview, up, a second up that
// changes nothing, a refresh without drift, another image, the policy pack, a destroy that ends. The CLI and its plugins
// are in no package registry; what is missing is printed, and the script then ends with 3.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCluster, whyNoCluster } from '../support/kubernetes-cluster.js';
import { toolOnPath } from '../support/tools.js';
import { linkModules } from '../support/installed-modules.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const image = (digit: string): string => `registry.example.com/slipway@sha256:${digit.repeat(64)}`;
const STEP_SECONDS = 600;
// The starter of clusters is looked for beside the checkout, which a loader of TypeScript does not tell to sources that
// are compiled to CommonJS.
process.env['KUBE_UP'] ??= path.resolve(root, '../shared/tools/kube-up');

process.exit(await main());

async function main(): Promise<number> {
  const missing = findMissing();
  if (missing.length > 0) {
    console.log(['not run, this is missing:', ...missing.map((reason) => `  ${reason}`)].join('\n'));
    return 3;
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-pulumi-cli-'));
  const cluster = await startCluster();
  try {
    const program = layOut(folder, 'kubernetes-cpu');
    const pack = layOut(folder, 'policy-pack');
    const state = path.join(folder, 'state');
    mkdirSync(state);
    const environment = {
      ...process.env,
      KUBECONFIG: cluster.kubeconfig,
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_CONFIG_PASSPHRASE: '',
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
    };
    const pulumi = (...args: string[]): void => step(program, environment, args);
    pulumi('stack', 'init', 'dev');
    pulumi('config', 'set', 'image', image('a'));
    pulumi('config', 'set', 'modelRepository', 's3://team-models');
    pulumi('preview');
    pulumi('preview', '--policy-pack', pack);
    pulumi('up', '--yes', '--skip-preview');
    pulumi('up', '--yes', '--skip-preview', '--expect-no-changes');
    pulumi('refresh', '--yes', '--skip-preview', '--expect-no-changes');
    pulumi('config', 'set', 'image', image('b'));
    pulumi('up', '--yes', '--skip-preview');
    const running = await cluster.kubectl(
      ...['get', 'deployment', 'digits', '-n', 'inference', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'],
    );
    if (running !== image('b')) throw new Error(`the cluster runs ${running}, not the second image`);
    pulumi('destroy', '--yes', '--skip-preview');
    console.log('passed');
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  } finally {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function findMissing(): string[] {
  const programs = ['pulumi', 'pulumi-language-nodejs'].filter((name) => toolOnPath(name) === undefined);
  const plugins = path.join(process.env['PULUMI_HOME'] ?? path.join(homedir(), '.pulumi'), 'plugins');
  const hasProvider =
    toolOnPath('pulumi-resource-kubernetes') !== undefined ||
    (existsSync(plugins) && readdirSync(plugins).some((name) => name.startsWith('resource-kubernetes-')));
  const noCluster = whyNoCluster({ fakeNodes: true });
  return [
    ...programs.map((name) => `${name} is not on the PATH`),
    ...(hasProvider ? [] : [`the plugin of the provider kubernetes is neither on the PATH nor in ${plugins}`]),
    ...(noCluster === undefined ? [] : [noCluster]),
    ...(existsSync(path.join(root, 'dist/pulumi/index.js')) ? [] : ['dist is not built: npm run build']),
  ];
}

/** A copy of an example, ready to run. */
function layOut(folder: string, example: string): string {
  const project = path.join(folder, example);
  cpSync(path.join(root, 'pulumi/examples', example), project, { recursive: true });
  linkModules(project, root);
  return project;
}

function step(cwd: string, env: NodeJS.ProcessEnv, args: readonly string[]): void {
  console.log(`$ pulumi ${args.join(' ')}`);
  const { status, error } = spawnSync('pulumi', [...args, '--non-interactive'], {
    cwd,
    env,
    stdio: 'inherit',
    timeout: STEP_SECONDS * 1_000,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`pulumi ${args[0]} ended with exit code ${status}`);
}
