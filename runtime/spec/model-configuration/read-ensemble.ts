import { LIMITS } from './limits';
import type { MessageReader } from './message-reader';
import type { EnsembleScheduling, EnsembleStep } from './model-configuration';

export function readEnsemble(reader: MessageReader): EnsembleScheduling | undefined {
  return reader.child('ensemble_scheduling', (scheduling) => {
    scheduling.withoutEffect('max_inflight_responses', 'every step gives one answer');
    const steps = scheduling.children('step', readStep);
    if (steps.length === 0) throw scheduling.invalid('step', 'must be given at least once');
    if (steps.length > LIMITS.steps) {
      throw scheduling.invalid('step', `must be given at most ${LIMITS.steps} times, got ${steps.length}`);
    }
    return scheduling.finish({ steps: Object.freeze(steps) });
  });
}

function readStep(reader: MessageReader): EnsembleStep {
  const modelName = reader.text('model_name');
  if (modelName === undefined) throw reader.invalid('model_name', 'must be given');
  reader.refuse('model_namespace', 'is not supported: models of one server have one name space');
  const modelVersion = reader.integer('model_version', -1, Number.MAX_SAFE_INTEGER) ?? -1;
  return reader.finish({
    modelName,
    // -1 is Triton's word for the newest; 0 is how protocol buffers write "not given".
    modelVersion: modelVersion < 1 ? undefined : modelVersion,
    inputMap: readTensorMap(reader, 'input_map'),
    outputMap: readTensorMap(reader, 'output_map'),
  });
}

function readTensorMap(reader: MessageReader, name: string): ReadonlyMap<string, string> {
  const map = reader.strings(name);
  const [unnamed] = [...map].find(([from, to]) => from === '' || to === '') ?? [];
  if (unnamed !== undefined) throw reader.invalid(name, 'must name a tensor of the model and one of the ensemble');
  return map;
}
