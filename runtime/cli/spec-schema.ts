import { SPEC_FILE } from './spec-fields';
import type { ObjectShape, Shape } from './spec-shape';

/** The JSON schema of a spec file (draft 7, which editors know best), made from the table that the reader uses. */
export function specSchema(): object {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Slipway service',
    description: 'An inference service, as slipway plan, render, up and verify read it',
    ...schemaOf(SPEC_FILE),
  };
}

function schemaOf(shape: Shape): object {
  switch (shape.kind) {
    case 'text':
      return { type: 'string' };
    case 'number':
    case 'boolean':
      return { type: shape.kind };
    case 'choice':
      return { enum: shape.choices };
    case 'list':
      return { type: 'array', items: schemaOf(shape.of) };
    case 'map':
      return { type: 'object', additionalProperties: schemaOf(shape.of) };
    case 'object':
      return schemaOfObject(shape);
  }
}

function schemaOfObject({ fields, required, some, never }: ObjectShape): object {
  const properties = Object.entries(fields).map(([name, { shape, about }]) => [
    name,
    { description: about, ...schemaOf(shape) },
  ]);
  return {
    type: 'object',
    properties: Object.fromEntries(properties) as object,
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    ...(some === undefined ? {} : { anyOf: some.map((set) => ({ required: set })) }),
    ...(never === undefined ? {} : { allOf: never.map((pair) => ({ not: { required: pair } })) }),
  };
}
