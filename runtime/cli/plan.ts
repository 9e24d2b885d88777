import type { Command } from './command';

/** `slipway plan`: everything that is decided about a service, with the reason of every number. */
export const plan: Command = {
  arguments: [{ name: 'spec file', description: 'an InferenceServiceSpec as YAML or JSON' }],
  options: {
    json: { type: 'boolean', description: 'print the whole plan as JSON instead of a table' },
    price: {
      type: 'string',
      value: 'type=USD',
      multiple: true,
      description: 'what an hour of a machine really costs, instead of the list price: g6.xlarge=0.61',
    },
  },
  details:
    'A model in the file is { manifest: path }, with the manifest that slipway model publish wrote, or ' +
    '{ file: path/model.onnx }, or { name, version } when nothing else is known. Paths are relative to the spec file.',
  run: async (given, terminal) => {
    const { planInferenceService } = await import('../spec/inference-service-plan.js');
    const { readServiceFile } = await import('./spec-file.js');
    const { collectEvidence, remedyFor } = await import('./evidence-facts.js');
    const { renderPlan } = await import('./plan-table.js');
    const { readPrices } = await import('./price-options.js');
    const prices = readPrices(given.texts('price'));
    const file = readServiceFile(given.argument('spec file'));
    const { spec } = file;
    const decided = planInferenceService(spec);
    const evidence = await collectEvidence(file, 'local');
    terminal.out(
      given.flag('json') ? JSON.stringify(decided, undefined, 2) : renderPlan(spec, decided, terminal.width, prices),
    );
    for (const each of evidence) {
      const { model, version, missing, unreadable } = each;
      if (missing === undefined && unreadable === undefined) continue;
      terminal.err(
        `warning: requireEvidence: version ${version} of model '${model}' ` +
          (missing === undefined
            ? `cannot be read: ${unreadable}`
            : `will not be served: ${missing}\n  → ${remedyFor(each)}`),
      );
    }
  },
};
