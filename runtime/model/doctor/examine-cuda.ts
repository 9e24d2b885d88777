import type { ModelOutline } from '../../onnx/read-model-outline';
import { hasCudaKernel } from './cuda-operators';
import type { Finding } from './finding';
import { listNames } from './list-names';

const SHOWN = 5;

/** What is slow on a GPU. TensorRT leaves to CUDA what it cannot run, so the same holds there. */
export function examineCuda(outline: ModelOutline): readonly Finding[] {
  return [...examineFallback(outline), ...examineShapes(outline)];
}

function examineFallback({ operators }: ModelOutline): readonly Finding[] {
  const missing = operators.filter((use) => !hasCudaKernel(use)).sort((a, b) => b.count - a.count);
  if (missing.length === 0) return [];
  const nodes = missing.reduce((total, { count }) => total + count, 0);
  const shown = missing
    .slice(0, SHOWN)
    .map(({ domain, operator, count }) => `${domain === '' ? '' : `${domain}.`}${operator} × ${count}`);
  const more = missing.length > SHOWN ? ` and ${missing.length - SHOWN} more` : '';
  return [
    {
      code: 'cuda-fallback',
      severity: 'warning',
      message: `${nodes} ${nodes === 1 ? 'node has' : 'nodes have'} no CUDA kernel and ${nodes === 1 ? 'falls' : 'fall'} back to the CPU, with a copy each way: ${shown.join(', ')}${more}`,
      suggestion: 'move them out of the model, or export them as operators that CUDA has',
    },
  ];
}

function examineShapes({ inputs }: ModelOutline): readonly Finding[] {
  const dynamic = inputs.filter(({ shape }) => shape?.slice(1).some((size) => typeof size === 'string'));
  if (dynamic.length === 0) return [];
  return [
    {
      code: 'cuda-dynamic-shapes',
      severity: 'warning',
      message: `input ${listNames(dynamic)} has free dimensions besides the first, and CUDA chooses its kernels anew for every new shape`,
      suggestion: 'pad to a few sizes, or set the parameter cudnn_conv_algo_search to HEURISTIC',
    },
  ];
}
