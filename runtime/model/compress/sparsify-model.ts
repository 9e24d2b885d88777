import { storeSparse, type SparseInitializer } from '../../onnx/edit/sparse-initializers';
import { editModel, type EditOptions, type EditReport } from '../edit/edit-model';
import { ModelToolError } from '../tool-error';

export interface SparsifyDetail {
  /** What is stored by its elements that are not zero. */
  readonly weights: readonly SparseInitializer[];
}

/**
 * Stores weights that are mostly zeros without them. Nothing else changes: the new model gives the same bits, or is not written.
 * ONNX Runtime fills the zeros in when it loads the model, so that memory and speed are those of the source.
 * @throws ModelToolError NOTHING_TO_CHANGE when no weight has enough zeros; and as `editModel`
 */
export function sparsifyModel(options: EditOptions): Promise<EditReport<SparsifyDetail>> {
  return editModel(options, 'slipway model sparsify', { tolerance: 0 }, (model) => {
    const weights = storeSparse(model);
    if (weights.length > 0) return { weights };
    throw new ModelToolError(
      'NOTHING_TO_CHANGE',
      options.source,
      'has no weight with enough zeros: ONNX stores 8 bytes of place with each element, which pays from two zeros in three on for FP32, four in five for FP16: prune it first',
    );
  });
}
