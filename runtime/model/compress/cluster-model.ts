import type { EditableModel } from '../../onnx/edit/editable-model';
import { placesOfByte, storeShared } from '../../onnx/edit/shared-values';
import { floatsOfTensor } from '../../onnx/edit/tensor-elements';
import { tensorBytes } from '../../onnx/tensor-bytes';
import type { Acceptance } from '../compare/acceptance';
import { editModel, type EditOptions, type EditReport } from '../edit/edit-model';
import { findWeights, type LeftWhole, type Weight } from '../edit/weights';
import { ModelToolError } from '../tool-error';
import { findClusters } from './find-clusters';

export interface ClusterOptions extends EditOptions {
  /** How many values a weight may have, 2 to 256: up to 16 take 4 bits each, up to 256 take 8. */
  readonly clusters: number;
  /** Names of weights and of nodes that are left whole; `*` stands for any characters. @default - none */
  readonly exclude?: readonly string[];
}

export interface ClusteredWeight {
  readonly name: string;
  readonly elements: number;
  readonly values: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Root of the mean square of what changed, as a share of that of the weight. */
  readonly error: number;
}

export interface ClusterDetail {
  readonly clusters: number;
  readonly weights: readonly ClusteredWeight[];
  readonly left: readonly LeftWhole[];
}

/** What is asked when nobody says it. */
export const CLUSTER_ACCEPTANCE: Acceptance = { minAgreement: 0.95, tolerance: 0.05 };

/**
 * Weight sharing: each weight keeps a few values, found by k-means, and stores for each element which of them it is. The file is
 * smaller by that; memory and speed are those of the source, because ONNX Runtime computes the weights when it loads the model.
 * @throws ModelToolError OPTION_INVALID, LAYER_UNKNOWN, NOTHING_TO_CHANGE; and as `editModel`
 */
export function clusterModel(options: ClusterOptions): Promise<EditReport<ClusterDetail>> {
  const { clusters, exclude, onProgress = () => {} } = options;
  if (!Number.isInteger(clusters) || clusters < 2 || clusters > 256) {
    throw new ModelToolError('OPTION_INVALID', '--clusters', `must be a whole number from 2 to 256, got ${clusters}`);
  }
  return editModel(options, `slipway model cluster --clusters ${clusters}`, CLUSTER_ACCEPTANCE, (model) => {
    const found = findWeights(model, exclude);
    const left = [...found.left];
    const weights: ClusteredWeight[] = [];
    for (const weight of found.weights) {
      if (!isWorthIt(model, weight, clusters)) left.push({ name: weight.name, reason: 'is too small to get smaller' });
      else weights.push(cluster(model, weight, clusters));
      onProgress(`${weights.length + left.length - found.left.length} of ${found.weights.length} weights`);
    }
    if (weights.length > 0) return { clusters, weights, left };
    throw new ModelToolError('NOTHING_TO_CHANGE', options.source, 'has no weight that would get smaller');
  });
}

/** Names and shapes of three initializers and three nodes, each of them several times. */
const EXTRA_BYTES = 512;

function isWorthIt(model: EditableModel, { tensor }: Weight, clusters: number): boolean {
  const bytes = tensorBytes(tensor, model.path);
  const elements = tensor.dims.reduce((product, size) => product * Number(size), 1);
  const each = elements % placesOfByte(clusters) === 0 ? placesOfByte(clusters) : 1;
  const size = bytes / elements;
  const list = (each === 1 ? clusters : 256 * each) * size;
  return elements > 0 && elements / each + list + EXTRA_BYTES < bytes;
}

function cluster(model: EditableModel, { name, tensor }: Weight, count: number): ClusteredWeight {
  const dims = tensor.dims.map(Number);
  const bytesBefore = tensorBytes(tensor, model.path);
  const numbers = floatsOfTensor(model, tensor)!;
  const { values, places } = findClusters(numbers, count);
  let [differences, squares] = [0, 0];
  for (let i = 0; i < numbers.length; i++) {
    differences += (numbers[i]! - values[places[i]!]!) ** 2;
    squares += numbers[i]! ** 2;
  }
  const bytesAfter = storeShared(model, { name, dataType: tensor.dataType, dims, values, places });
  const error = differences === 0 ? 0 : Math.sqrt(differences / squares);
  return { name, elements: numbers.length, values: values.length, bytesBefore, bytesAfter, error };
}
