import { CliError, UsageError } from './cli-error';
import type { Command, ParsedArguments, Terminal } from './command';
import type { Checkup, Severity } from './doctor/checkup';
import type { ProbeFacts, ServiceNeeds } from './doctor/facts';
import type { ClusterChoice, Kubectl } from './doctor/kubectl';
import type { EvidenceFacts } from './evidence-facts';
import type { RenderedService } from './service-objects';
import type { FileModel, ServiceFile } from './spec-file';

/** Warnings and no error: exit status 3, so that a pipeline can go on with them if it wants to. */
class WarningsError extends CliError {
  override readonly exitCode = 3;
}

const PROBE_SECONDS = 180;

/** `slipway doctor`: what a cluster, an account, and the versions of models lack for a service. */
export const doctor: Command = {
  arguments: [
    {
      name: 'spec file',
      description: 'a service as for slipway plan: what it needs is looked for; without one, what is there',
      optional: true,
    },
  ],
  options: {
    kubeconfig: { type: 'string', value: 'file', description: 'of the cluster to look at (deploy.kubeconfig)' },
    context: {
      type: 'string',
      value: 'name',
      description: 'of the cluster to look at (deploy.context; of a kubeconfig that is named, its current one)',
    },
    namespace: { type: 'string', value: 'name', description: "the service's own (kubernetes.namespace, default)" },
    image: { type: 'string', value: 'image', description: 'of the server, for --probe-identity (kubernetes.image)' },
    'model-repository': {
      type: 'string',
      value: 'uri',
      description: 'where the models lie, for --probe-identity (kubernetes.modelRepository)',
    },
    'probe-identity': {
      type: 'boolean',
      description:
        'run a Job that reads one object with the identity of the service, and remove it again: the one thing that is created',
    },
    aws: { type: 'boolean', description: 'look at quotas of the AWS account, by the AWS CLI and its credentials' },
    'aws-region': { type: 'string', value: 'name', description: "region of those quotas (the AWS CLI's own)" },
    json: { type: 'boolean', description: 'print every finding as JSON' },
  },
  details:
    'No cluster is looked at that was not named. With requireEvidence in the spec file, the manifest of every model is read, where it can be. Exit status 0: nothing worse than a note. 3: warnings. 1: errors, or the cluster does ' +
    'not answer.',
  run: async (given, terminal) => {
    const { examine } = await import('./doctor/examine.js');
    const { collectTools } = await import('./doctor/collect-tools.js');
    const { counted, worstOf } = await import('./doctor/checkup.js');
    const service = await serviceOf(given);
    const choice = choiceOf(given, service?.file);
    const looksAtAws = given.flag('aws') || given.text('aws-region') !== undefined;
    const requiresEvidence = service?.file.spec.requireEvidence === true;
    if (choice === undefined && !looksAtAws) {
      if (!requiresEvidence) throw await clusterUnnamed();
      terminal.err('no cluster is looked at: none was named, by --context or --kubeconfig');
    }
    if (given.flag('probe-identity') && (choice === undefined || service === undefined)) {
      throw new UsageError('slipway doctor: --probe-identity needs a spec file and a cluster');
    }
    const tools = await collectTools();
    const cluster =
      choice === undefined ? undefined : await lookAtCluster(choice, service?.needs, terminal, given.flag('json'));
    const probe =
      given.flag('probe-identity') && cluster !== undefined ? await probed(cluster.kubectl, service!) : undefined;
    const aws = looksAtAws
      ? await (await import('./doctor/collect-aws.js')).collectAws(given.text('aws-region'))
      : undefined;
    const evidence = service === undefined ? [] : await lookForEvidence(service.file);
    const checkups = examine({
      tools,
      ...(cluster === undefined ? {} : { cluster: cluster.facts }),
      ...(service === undefined ? {} : { needs: service.needs }),
      ...(probe === undefined ? {} : { probe }),
      ...(aws === undefined ? {} : { aws }),
      evidence,
    });
    terminal.out(given.flag('json') ? JSON.stringify(checkups, undefined, 2) : shown(checkups));
    const worst = worstOf(checkups);
    const count = (severity: Severity): number => checkups.filter((one) => one.severity === severity).length;
    if (worst === 'error')
      throw new CliError(`${counted(count('error'), 'error')}, ${counted(count('warning'), 'warning')}`);
    if (worst === 'warning') throw new WarningsError(counted(count('warning'), 'warning'));
  },
};

interface Service {
  readonly file: ServiceFile;
  readonly rendered: RenderedService;
  readonly needs: ServiceNeeds;
  readonly isImageKnown: boolean;
  readonly isRepositoryKnown: boolean;
}

async function serviceOf(given: ParsedArguments): Promise<Service | undefined> {
  const path = given.argument('spec file');
  if (path === '') return undefined;
  const { readServiceFile } = await import('./spec-file.js');
  const { renderService } = await import('./service-objects.js');
  const { needsOf } = await import('./doctor/service-needs.js');
  const file = readServiceFile(path);
  const [image, modelRepository, namespace] = ['image', 'model-repository', 'namespace'].map((flag) =>
    given.text(flag),
  );
  const kubernetes = {
    ...file.kubernetes,
    ...(image === undefined ? {} : { image }),
    ...(modelRepository === undefined ? {} : { modelRepository }),
    ...(namespace === undefined ? {} : { namespace }),
  };
  // Neither says anything of the cluster, so a service can be looked at before it has them.
  const rendered = renderService({
    spec: file.spec,
    kubernetes: {
      ...kubernetes,
      image: kubernetes.image ?? 'unknown',
      modelRepository: kubernetes.modelRepository ?? 'file:///unknown',
    },
  });
  return {
    file: { ...file, kubernetes },
    rendered,
    needs: needsOf(rendered, kubernetes),
    isImageKnown: kubernetes.image !== undefined,
    isRepositoryKnown: kubernetes.modelRepository !== undefined,
  };
}

function choiceOf(given: ParsedArguments, file: ServiceFile | undefined): ClusterChoice | undefined {
  const kubeconfig = given.text('kubeconfig') ?? file?.deploy.kubeconfig;
  const context = given.text('context') ?? file?.deploy.context;
  if (kubeconfig === undefined && context === undefined) return undefined;
  return { ...(kubeconfig === undefined ? {} : { kubeconfig }), ...(context === undefined ? {} : { context }) };
}

async function lookForEvidence(file: ServiceFile): Promise<readonly EvidenceFacts[]> {
  const { collectEvidence } = await import('./evidence-facts.js');
  return collectEvidence(file, 'everywhere');
}

/** Which cluster is current is nothing that a command should guess. */
async function clusterUnnamed(): Promise<UsageError> {
  const { Kubectl } = await import('./doctor/kubectl.js');
  const known = await new Kubectl({}).run(['config', 'get-contexts', '-o', 'name']).catch(() => '');
  const names = known.trim().split('\n').filter(Boolean);
  return new UsageError(
    `slipway doctor: name the cluster by --context or --kubeconfig, or ask for --aws; ${names.length === 0 ? 'no context is known here' : `known contexts: ${names.slice(0, 10).join(', ')}`}`,
  );
}

async function lookAtCluster(
  choice: ClusterChoice,
  needs: ServiceNeeds | undefined,
  terminal: Terminal,
  isJson: boolean,
) {
  const { Kubectl } = await import('./doctor/kubectl.js');
  const { collectCluster } = await import('./doctor/collect-cluster.js');
  const kubectl = new Kubectl(choice);
  const facts = await collectCluster(kubectl, needs);
  const line = `cluster ${facts.server}, context ${facts.context}`;
  if (isJson) terminal.err(line);
  else terminal.out(`${line}\n`);
  return { kubectl, facts };
}

async function probed(
  kubectl: Kubectl,
  { file, needs, isImageKnown, isRepositoryKnown }: Service,
): Promise<ProbeFacts> {
  const { probeIdentity } = await import('./doctor/probe-identity.js');
  const { locateModel } = await import('./service-objects.js');
  const { kubernetes, spec } = file;
  const models: readonly FileModel[] = spec.models;
  const model = models.find((one) => one.mount === undefined);
  if (model === undefined)
    throw new UsageError('slipway doctor: --probe-identity: no model is fetched, so none needs an identity');
  if (!isImageKnown)
    throw new UsageError('slipway doctor: --probe-identity: --image is missing, and so is kubernetes.image');
  if (!isRepositoryKnown && model.repositoryUri === undefined) {
    throw new UsageError(
      'slipway doctor: --probe-identity: --model-repository is missing, and so is kubernetes.modelRepository',
    );
  }
  return probeIdentity(kubectl, {
    namespace: needs.namespace,
    serviceAccount: needs.name,
    image: kubernetes.image!,
    uri: locateModel(model, kubernetes).location.folder,
    identity: kubernetes.identity ?? {},
    timeoutSeconds: PROBE_SECONDS,
    ...(kubernetes.imagePullSecrets === undefined ? {} : { imagePullSecrets: kubernetes.imagePullSecrets }),
  });
}

/** The worst first: what is as it should be need not be read. */
function shown(checkups: readonly Checkup[]): string {
  const order: readonly Severity[] = ['error', 'warning', 'note', 'ok'];
  return order
    .flatMap((severity) => checkups.filter((one) => one.severity === severity))
    .map(({ severity, what, evidence, fix, code }) =>
      [
        `${severity.padEnd(7)}  ${what} (${code})`,
        `         ${evidence}`,
        ...(fix === undefined ? [] : [`         → ${fix}`]),
      ].join('\n'),
    )
    .join('\n');
}
