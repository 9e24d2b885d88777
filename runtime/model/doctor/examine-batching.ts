import type { ModelOutline, OutlinedTensor } from '../../onnx/read-model-outline';
import type { Finding } from './finding';
import { listNames } from './list-names';

/** Why requests cannot be joined into batches, as far as the graph tells; the server also tries it with two rows. */
export function examineBatching(outline: ModelOutline): readonly Finding[] {
  const tensors = [...outline.inputs, ...outline.outputs].filter(({ shape }) => shape !== undefined);
  const fixed = tensors.filter(({ shape }) => typeof shape![0] !== 'string');
  if (fixed.length > 0) return [fixedDimension(outline, fixed)];
  return [...examineNames(tensors), ...examineReshapes(outline)];
}

/** What the server finds when it runs one row and two rows and compares. */
export function rowsNotIndependent(reason: string): Finding {
  return {
    code: 'rows-not-independent',
    severity: 'warning',
    message: `requests are not joined into batches: ${reason}`,
  };
}

function fixedDimension({ outputs }: ModelOutline, fixed: readonly OutlinedTensor[]): Finding {
  const [first] = fixed;
  const what = `${outputs.includes(first!) ? 'output' : 'input'} '${first!.name}'`;
  const size = first!.shape![0];
  const others = fixed.length > 1 ? `, and likewise ${listNames(fixed.slice(1))}` : '';
  return {
    code: 'first-dimension-fixed',
    severity: 'warning',
    message:
      size === undefined
        ? `requests cannot be joined into batches: ${what} is a scalar${others}`
        : `requests cannot be joined into batches: ${what} has the fixed first dimension ${size}${others}`,
    suggestion:
      'export the model with a free first dimension on every input and output (dynamic_axes or dynamic_shapes)',
  };
}

/** One dimension under several names is often an oversight, and sometimes two dimensions. */
function examineNames(tensors: readonly OutlinedTensor[]): readonly Finding[] {
  const names = new Set(tensors.map(({ shape }) => shape![0] as string).filter((name) => name !== ''));
  if (names.size < 2) return [];
  return [
    {
      code: 'first-dimension-names',
      severity: 'info',
      message: `first dimensions have different names (${[...names]
        .slice(0, 4)
        .map((name) => `'${name}'`)
        .join(', ')}), so they may not all count rows`,
      suggestion: 'give the batch dimension one name when you export the model',
    },
  ];
}

function examineReshapes({ constantReshapes }: ModelOutline): readonly Finding[] {
  const [first, ...others] = constantReshapes.filter(({ shape }) => shape.length > 0 && shape[0]! > 0);
  if (first === undefined) return [];
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return [
    {
      code: 'reshape-constant',
      severity: 'warning',
      message: `Reshape '${first.node}'${more} sets the first dimension to ${first.shape[0]} ([${first.shape.join(', ')}]), so several rows may fail or mix`,
      suggestion: 'reshape to -1 or 0 in the first place, then rows stay rows',
    },
  ];
}
