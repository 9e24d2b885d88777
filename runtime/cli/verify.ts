import path from 'node:path';
import { CliError, UsageError } from './cli-error';
import type { Command, ParsedArguments, Terminal } from './command';
import { KUBERNETES_OPTIONS } from './render-options';
import type { Outcome } from './verify/step';
import type { StepName, Verification } from './verify/verification';

/** `slipway verify`: everything that can be shown of a program or a spec file where there is no account. */
export const verify: Command = {
  arguments: [
    {
      name: 'program',
      optional: true,
      description: 'a spec file, or the folder of a Pulumi program or a CDK app (the current folder)',
    },
  ],
  options: {
    only: { type: 'string', value: 'step', multiple: true, description: 'take this step and no others' },
    skip: { type: 'string', value: 'step', multiple: true, description: 'leave this step out' },
    json: { type: 'boolean', description: 'print the outcome of every step as JSON' },
    kubeconfig: {
      type: 'string',
      value: 'file',
      description: 'kubeconfig of a test cluster, which is asked and not changed (TEST_KUBECONFIG)',
    },
    context: { type: 'string', value: 'name', description: 'context of that kubeconfig (its current one)' },
    except: { type: 'string', value: 'rule', multiple: true, description: 'do not ask this rule' },
    stack: {
      type: 'string',
      value: 'name',
      description: 'stack of a Pulumi program, whose configuration is read (dev)',
    },
    config: {
      type: 'string',
      value: 'key=value',
      multiple: true,
      description: 'configuration of a Pulumi program, over that of its stack',
    },
    answers: {
      type: 'string',
      value: 'file',
      description:
        'what clouds answer a Pulumi program: { resources: { type: outputs }, functions: { token: result } }',
    },
    app: { type: 'string', value: 'command', description: 'what synthesizes a CDK app (app of cdk.json)' },
    parameter: {
      type: 'string',
      value: 'stack:name=value',
      multiple: true,
      description: 'parameter of a CDK stack, for the emulator',
    },
    model: {
      type: 'string',
      value: 'file',
      multiple: true,
      description: 'ONNX file, or manifest beside its files, to ask for a prediction (those of the spec file)',
    },
    pull: { type: 'boolean', description: 'build the server image where this machine has none, which downloads' },
    image: KUBERNETES_OPTIONS['image']!,
    'model-repository': KUBERNETES_OPTIONS['model-repository']!,
  },
  details:
    'Steps: program (preview and up on an engine without a cloud, or synth), rules (policy pack, or validation), cluster (dry ' +
    'run by the API server of a test cluster), emulator (deploy to moto), image (run the image), prediction (golden input on ' +
    'the server). Each is passed, failed or skipped with the reason; exit status 0 only without a failure.',
  run: async (given, terminal) => {
    const { outcomeOf } = await import('./verify/step.js');
    const { STEPS } = await import('./verify/verification.js');
    const steps = chosenSteps(given, STEPS);
    const verification = await open(given);
    const outcomes: (Outcome & { readonly step: StepName })[] = [];
    try {
      for (const step of steps) {
        const outcome = { step, ...(await outcomeOf(() => verification.take(step))) };
        outcomes.push(outcome);
        if (!given.flag('json')) print(outcome, terminal);
      }
    } finally {
      await verification.end();
    }
    if (given.flag('json')) terminal.out(JSON.stringify({ steps: outcomes }, undefined, 2));
    const broken = outcomes.filter(({ state }) => state === 'failed').map(({ step }) => step);
    if (broken.length > 0) throw new CliError(`failed: ${broken.join(', ')}`);
  },
};

function print({ step, state, reason, details = [] }: Outcome & { readonly step: string }, terminal: Terminal): void {
  terminal.out(`${step.padEnd(10)}  ${state.padEnd(7)}  ${reason}`);
  for (const line of details) terminal.out(`${' '.repeat(12)}${line}`);
}

function chosenSteps(given: ParsedArguments, steps: readonly StepName[]): readonly StepName[] {
  const [only, skip] = [given.texts('only'), given.texts('skip')];
  for (const name of [...only, ...skip]) {
    if (!(steps as readonly string[]).includes(name)) {
      throw new UsageError(
        `--${only.includes(name) ? 'only' : 'skip'} must be one of ${steps.join(', ')}, got '${name}'`,
      );
    }
  }
  return steps.filter((step) => (only.length === 0 || only.includes(step)) && !skip.includes(step));
}

async function open(given: ParsedArguments): Promise<Verification> {
  const { Verification } = await import('./verify/verification.js');
  const { targetAt } = await import('./verify/target.js');
  const { readAnswers } = await import('./verify/read-answers.js');
  const target = targetAt(given.argument('program'), given.text('app'));
  const kubeconfig = given.text('kubeconfig') ?? process.env['TEST_KUBECONFIG'];
  return new Verification(target, target.kind === 'spec' ? await readSpec(given, target.file) : undefined, {
    stack: given.text('stack') ?? 'dev',
    config: Object.fromEntries(given.texts('config').map(readPair)),
    answers: readAnswers(given.text('answers')),
    except: given.texts('except'),
    kubeconfig: kubeconfig === undefined || kubeconfig === '' ? undefined : path.resolve(kubeconfig),
    context: given.text('context'),
    parameters: given.texts('parameter'),
    models: given.texts('model').map((file) => path.resolve(file)),
    mayPull: given.flag('pull'),
  });
}

async function readSpec(given: ParsedArguments, file: string) {
  const { readServiceFile } = await import('./spec-file.js');
  const { withFlags } = await import('./render-options.js');
  const service = readServiceFile(file);
  return { ...service, kubernetes: withFlags(service.kubernetes, given) };
}

function readPair(pair: string): readonly [string, string] {
  const at = pair.indexOf('=');
  if (at < 1) throw new UsageError(`--config must be key=value, got '${pair}'`);
  return [pair.slice(0, at), pair.slice(at + 1)];
}
