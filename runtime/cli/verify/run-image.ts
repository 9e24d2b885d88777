import { randomUUID } from 'node:crypto';
import { buildImage } from '../../image/build-image';
import { findContainerTool, type ContainerToolName } from '../../image/container-tool';
import { ImageError } from '../../image/image-error';
import { runCommand } from '../../image/run-command';
import { PORTS } from '../../spec/endpoints';
import { versionPrefix } from '../../spec/model-repository';
import { withProvenModels } from './predict';
import { askForGolden, referenceTo, waitUntilServed, type AskedModel } from './proven-models';
import { passed, SkippedStep, type Outcome } from './step';

const START_SECONDS = 300;
const TAG = 'slipway:verify';

/** As every deployment runs it: nothing to write to, no capability, no way to more rights. */
const RESTRICTIONS = [
  ...['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
  // Podman asks for more than a process without rights may have.
  ...['--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=4096:4096'],
];

/**
 * Runs the server's image under the restrictions of a deployment and asks it for a golden output: the named image where this
 * machine has it, else one that is built, if it may be.
 */
export async function runImage(
  models: readonly AskedModel[],
  named: string | undefined,
  mayPull: boolean,
): Promise<Outcome> {
  const tool = await workingTool();
  return withProvenModels(models, async ([model], notes) => {
    const image = await imageToRun(tool, named, mayPull);
    const run = (args: readonly string[], timeoutSeconds = 120) =>
      runCommand({ program: tool, args }, { timeoutSeconds });
    const { name, version } = model!.manifest;
    const reference = referenceTo(model!, `file:///models/${versionPrefix(name, version)}`);
    const id = `slipway-verify-${randomUUID()}`;
    try {
      await run([
        ...['run', '--detach', '--name', id, ...RESTRICTIONS],
        ...['--publish', `127.0.0.1::${PORTS.http}`, '--volume', `${model!.repository}:/models:ro`],
        ...['--env', `SLIPWAY_MODELS=${JSON.stringify([reference])}`, image],
      ]);
      const address = (await run(['port', id, `${PORTS.http}/tcp`])).trim().split('\n')[0]!;
      await waitUntilServed(`http://${address}`, START_SECONDS);
      await askForGolden(`http://${address}`, model!);
    } finally {
      // It is there, too, where it could not be started.
      await run(['rm', '--force', id]).catch(() => undefined);
    }
    return passed(`${image} gives the golden output, with no right and nothing to write to`, notes);
  });
}

async function workingTool(): Promise<ContainerToolName> {
  try {
    const { name } = await findContainerTool();
    if (name !== 'buildah') return name;
  } catch (error) {
    if (ImageError.is(error)) throw new SkippedStep(error.reason);
    throw error;
  }
  throw new SkippedStep('buildah alone works here, and it runs no server');
}

async function imageToRun(tool: ContainerToolName, named: string | undefined, mayPull: boolean): Promise<string> {
  if (named !== undefined && (await isPresent(tool, named))) return named;
  if (!mayPull) {
    throw new SkippedStep(
      `${named ?? 'an image'} is not on this machine, and building one downloads its base and its modules; allow it with --pull`,
    );
  }
  const { tag } = await buildImage({ variant: 'cpu', tag: TAG });
  return tag;
}

async function isPresent(tool: ContainerToolName, image: string): Promise<boolean> {
  const inspect = { program: tool, args: ['image', 'inspect', image] };
  return runCommand(inspect, { timeoutSeconds: 60 }).then(
    () => true,
    () => false,
  );
}
