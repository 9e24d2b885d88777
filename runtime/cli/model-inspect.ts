import type { InspectedModel } from '../model/inspect-model';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments } from './command';
import { replaceFile } from './replace-file';

const PROVIDERS = ['cpu', 'cuda', 'tensorrt'] as const;

/** `slipway model inspect`: what an ONNX file says about itself, what a run costs, and what the doctor says, without running it. */
export const modelInspect: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, its external data beside it' }],
  options: {
    json: { type: 'boolean', description: 'print facts, cost, findings and digests as JSON instead of a table' },
    'execution-provider': {
      type: 'string',
      value: 'provider',
      description: 'what the model is to run on: cpu, cuda or tensorrt (cpu)',
    },
    batch: { type: 'string', value: 'rows', description: 'rows of the run whose cost is told (1)' },
    dimension: {
      type: 'string',
      value: 'name=size',
      multiple: true,
      description: 'what another free dimension is in that run (1)',
    },
    html: {
      type: 'string',
      value: 'file',
      description: 'where to write a page that shows which operators and nodes cost what; replaces what is there',
    },
  },
  run: async (given, terminal) => {
    const { inspectModel } = await import('../model/inspect-model.js');
    const { renderCost, renderFindings, renderModelFacts } = await import('./model-table.js');
    const file = given.argument('file');
    const options = {
      executionProvider: providerOf(given.text('execution-provider')),
      batch: batchOf(given.text('batch')),
      dimensions: dimensionsOf(given.texts('dimension')),
    };
    const { model, refusal, cost, findings } = inspectModel(file, options);
    const page = given.text('html');
    if (page !== undefined) {
      const { renderCostPage } = await import('../model/cost/cost-page.js');
      await replaceFile(page, renderCostPage(file, cost));
    }
    if (given.flag('json')) {
      terminal.out(JSON.stringify({ ...jsonOf(model), cost, findings }, undefined, 2));
    } else {
      if (model !== undefined) {
        terminal.out(`${file}${model.producer === '' ? '' : `, written by ${model.producer}`}`);
        terminal.out(renderModelFacts(model.facts, terminal.width));
      }
      terminal.out(renderCost(cost, terminal.width));
      terminal.out(renderFindings(findings, terminal.width));
      for (const { path, sha256 } of model?.files ?? []) terminal.out(`  sha256 ${sha256}  ${path}`);
    }
    if (page !== undefined) terminal.err(`the cost of its operators and nodes is in ${page}`);
    if (refusal !== undefined) throw refusal;
  },
};

function jsonOf(model: InspectedModel['model']): object {
  if (model === undefined) return {};
  const { facts, files, irVersion, producer, graphName } = model;
  return {
    irVersion,
    producer,
    graphName,
    facts,
    files: files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 })),
  };
}

function providerOf(text = 'cpu'): (typeof PROVIDERS)[number] {
  const provider = PROVIDERS.find((known) => known === text);
  if (provider !== undefined) return provider;
  throw new UsageError(`slipway model inspect: --execution-provider must be cpu, cuda or tensorrt, got '${text}'`);
}

function batchOf(text = '1'): number {
  if (/^[1-9][0-9]{0,5}$/.test(text)) return Number(text);
  throw new UsageError(`slipway model inspect: --batch must be a whole number from 1 to 999999, got '${text}'`);
}

function dimensionsOf(pairs: ReturnType<ParsedArguments['texts']>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const match = /^(.+)=([1-9][0-9]{0,8})$/.exec(pair);
      if (match !== null) return [match[1]!, Number(match[2])];
      throw new UsageError(`slipway model inspect: --dimension must be <name>=<size>, got '${pair}'`);
    }),
  );
}
