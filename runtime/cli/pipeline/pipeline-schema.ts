import type { CommandEntry } from '../command';
import { STEP_RULES } from './pipeline-rules';
import { knownFields, type KnownField } from './read-pipeline';

/** The JSON schema of a pipeline file (draft 7, which editors know best), made from the tables of the commands. */
export async function pipelineSchema(commands: readonly CommandEntry[]): Promise<object> {
  const steps: object[] = [];
  for (const [verb, rule] of Object.entries(STEP_RULES)) {
    const entry = commands.find(({ name }) => name === `model ${verb}`)!;
    const fields = knownFields(rule, await entry.load());
    const required = [...fields].filter(([, field]) => field.required).map(([name]) => name);
    const options = {
      type: required.length === 0 ? ['object', 'null'] : 'object',
      description: entry.summary,
      properties: Object.fromEntries([...fields].map(([name, field]) => [name, schemaOf(field)])),
      additionalProperties: false,
      ...(required.length === 0 ? {} : { required }),
      ...(rule.oneOf === undefined ? {} : { anyOf: rule.oneOf.map((name) => ({ required: [name] })) }),
    };
    steps.push({ type: 'object', properties: { [verb]: options }, required: [verb], additionalProperties: false });
    if (required.length === 0) steps.push({ const: verb });
  }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Slipway model pipeline',
    description: 'From a trained model to a published one, as slipway model pipeline runs it',
    type: 'object',
    properties: {
      $schema: { type: 'string' },
      model: { type: 'string', description: 'name of the model in the model repository' },
      source: { type: 'string', description: 'what the first step takes: an ONNX file, or what convert takes' },
      repository: { type: 'string', description: 'model repository: a directory, or the URI of a store' },
      steps: { type: 'array', minItems: 1, maxItems: 100, items: { anyOf: steps } },
    },
    required: ['model', 'steps'],
    additionalProperties: false,
  };
}

const VALUE = { type: ['string', 'number'] };

function schemaOf({ kind, multiple, about }: KnownField): object {
  if (kind === 'flag') return { type: 'boolean', description: about };
  if (!multiple) return { ...VALUE, description: about };
  return { anyOf: [VALUE, { type: 'array', items: VALUE }], description: about };
}
