import { SpecError } from '../runtime/spec';
import { RESULTS_FOLDER } from '../runtime/spec/endpoints';
import type { PipelineStep, PipelineStepFacts } from './pipeline-step';

/**
 * The steps with what they do not say themselves: which model is published, and the evaluation that is evidence of it.
 * @param candidate where the candidate's model lies
 * @throws SpecError PIPELINE_STEPS_INVALID unless one step publishes and labels alone follow it, or for a result of no earlier step
 */
export function completeSteps(steps: readonly PipelineStep[], candidate: string): readonly PipelineStepFacts[] {
  const facts = steps.map((step) => step.facts);
  assertOrder(facts);
  assertResults(facts);
  return facts.map((step) => {
    if (step.kind !== 'publish') return step;
    const { publishes = candidate } = step;
    const evaluation = facts.findLast(({ evaluates, allowFailure }) => evaluates?.model === publishes && !allowFailure);
    const isSaid = step.args.some((each) => each.startsWith('--evaluation='));
    const judged = facts.find(({ evaluates, allowFailure }) => evaluates !== undefined && !allowFailure);
    if (!isSaid && evaluation === undefined && judged !== undefined) {
      refuseSteps(
        `Publish takes ${publishes}, and ${judged.id} evaluates ${judged.evaluates!.model}: the manifest would have no evidence; ` +
          'evaluate what is published, or give evaluation',
      );
    }
    const evidence = isSaid || evaluation === undefined ? [] : [`--evaluation=${evaluation.evaluates!.report}`];
    return { ...step, publishes, args: [...step.args, ...evidence] };
  });
}

function assertOrder(facts: readonly PipelineStepFacts[]): void {
  const ids = facts.map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) refuseSteps(`two steps have the id '${twice}'`);
  const published = facts.findIndex(({ kind }) => kind === 'publish');
  const isInOrder = facts.every(
    ({ kind }, i) => i === published || (kind === 'promote' ? i > published : i < published),
  );
  if (published < 0 || !isInOrder) {
    refuseSteps(
      `there must be one PipelineStep.publish(), after it PipelineStep.promote() alone, got ${ids.join(', ') || 'none'}`,
    );
  }
}

/** What a step reads is there when an earlier one has run. */
function assertResults(facts: readonly PipelineStepFacts[]): void {
  for (const [i, { id, args, publishes = '' }] of facts.entries()) {
    for (const [, read] of [...args, publishes].join(' ').matchAll(new RegExp(`${RESULTS_FOLDER}/([\\w-]+)`, 'g'))) {
      if (facts.slice(0, i + 1).some((step) => step.id === read && step.kind !== 'publish')) continue;
      refuseSteps(`${id} takes a result of '${read}', and no step of that id comes before it`);
    }
  }
}

function refuseSteps(what: string): never {
  throw new SpecError('PIPELINE_STEPS_INVALID', 'steps', what);
}
