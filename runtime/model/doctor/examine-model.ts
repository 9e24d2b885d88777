import type { ModelOutline } from '../../onnx/read-model-outline';
import type { ExecutionProvider } from '../../spec/inference-service-spec';
import { examineBatching } from './examine-batching';
import { examineCuda } from './examine-cuda';
import { examineOperators } from './examine-operators';
import { examineTensors } from './examine-tensors';
import { examineWeights } from './examine-weights';
import type { Finding } from './finding';

const ORDER = { error: 0, warning: 1, info: 2 } as const;

/**
 * Tells from a model's graph why it cannot be served, cannot be batched, or will be slow, and what would help.
 * @returns the worst first.
 */
export function examineModel(
  outline: ModelOutline,
  { executionProvider }: { readonly executionProvider: ExecutionProvider },
): readonly Finding[] {
  const findings = [
    ...examineTensors(outline),
    ...examineOperators(outline),
    ...examineBatching(outline),
    ...(executionProvider === 'cpu' ? [] : examineCuda(outline)),
    ...examineWeights(outline),
  ];
  return findings.sort((a, b) => ORDER[a.severity] - ORDER[b.severity]);
}
