import type { ParsedArguments, Terminal } from '../command';
import { readServiceFile } from '../spec-file';
import { renderService } from '../service-objects';
import { chooseCluster, chooseStack, readDeployedFile } from './deploy-options';
import { failure, openStack } from './open-stack';

/**
 * Previews or deploys what a spec file says. What can be refused is refused before Pulumi is started.
 * @throws CliError, SpecError
 */
export async function runOnStack(what: 'up' | 'preview', given: ParsedArguments, terminal: Terminal): Promise<void> {
  const service = readDeployedFile(given);
  renderService(service);
  const cluster = chooseCluster(given, service.deploy);
  const choice = chooseStack(given, service);
  const program = async () => {
    const { declareService } = await import('./service-program.js');
    return declareService(service, cluster);
  };
  const stack = await openStack(choice, program, given.argument('spec file'));
  terminal.err(`stack ${choice.stack} of ${choice.project} in ${choice.backend}, cluster ${cluster.context}`);
  try {
    if (what === 'preview') {
      await stack.preview(printing(terminal));
    } else {
      const { outputs } = await stack.up(printing(terminal));
      terminal.out(`url: ${String(outputs['url']?.value)}`);
    }
  } catch (error) {
    throw failure(error);
  }
}

/** Deletes everything of a stack. @throws CliError */
export async function destroyStack(given: ParsedArguments, terminal: Terminal): Promise<void> {
  const service = readServiceFile(given.argument('spec file'));
  const choice = chooseStack(given, service);
  const stack = await openStack(choice, () => Promise.resolve(), given.argument('spec file'), 'existing');
  try {
    await stack.destroy(printing(terminal));
  } catch (error) {
    throw failure(error);
  }
}

function printing(terminal: Terminal): { onOutput: (text: string) => void; onError: (text: string) => void } {
  return {
    onOutput: (text) => terminal.out(text.replace(/\n$/, '')),
    onError: (text) => terminal.err(text.replace(/\n$/, '')),
  };
}
