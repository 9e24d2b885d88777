import type { Command } from './command';
import { KUBERNETES_OPTIONS, withFlags } from './render-options';

/** `slipway render`: the Kubernetes objects that Pulumi and CDK apply, as YAML. */
export const render: Command = {
  arguments: [{ name: 'spec file', description: 'a service as YAML or JSON, as for slipway plan' }],
  options: {
    output: {
      type: 'string',
      value: 'folder',
      description: 'write a file for each object and a kustomization.yaml there, instead of printing one stream',
    },
    ...KUBERNETES_OPTIONS,
  },
  details:
    'A flag wins over what the section kubernetes of the spec file says; what is said in neither has the default in brackets. ' +
    'With --output, files that say the same already are left alone, and those of an earlier render that are no object any more are removed.',
  run: async (given, terminal) => {
    const { readServiceFile } = await import('./spec-file.js');
    const { renderService } = await import('./service-objects.js');
    const { spec, kubernetes } = readServiceFile(given.argument('spec file'));
    const { adviseOnImage } = await import('../spec/pinned-image.js');
    const section = withFlags(kubernetes, given);
    const { inOrder, plan, traffic } = renderService({ spec, kubernetes: section });
    const advice = [section.image, section.canary?.image, section.shadow?.image].flatMap((image) =>
      image === undefined ? [] : (adviseOnImage(image) ?? []),
    );
    for (const warning of [...plan.warnings, ...traffic.warnings, ...advice]) terminal.err(`warning: ${warning}`);
    const folder = given.text('output');
    if (folder === undefined) {
      const { renderYaml } = await import('./render-yaml.js');
      return terminal.out(renderYaml(inOrder));
    }
    const { renderFolder } = await import('./render-folder.js');
    const { written, unchanged, removed } = renderFolder(folder, inOrder);
    terminal.out(`${folder}: ${written.length} written, ${unchanged.length} unchanged, ${removed.length} removed`);
  },
};
