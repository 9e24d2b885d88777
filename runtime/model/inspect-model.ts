import { OnnxFileError } from '../onnx/onnx-file-error';
import { readModelOutline } from '../onnx/read-model-outline';
import { readOnnxModel, type OnnxModel } from '../onnx/read-onnx-model';
import { costOfModel, type CostOptions, type ModelCost } from './cost/model-cost';
import { examineModel, type Finding } from './doctor';

export interface InspectOptions extends CostOptions {
  /** What the model is to run on. @default 'cpu' */
  readonly executionProvider?: 'cpu' | 'cuda' | 'tensorrt';
}

export interface InspectedModel {
  /** Absent where the file cannot be served. */
  readonly model?: OnnxModel;
  /** Why it cannot be served. @default - it can */
  readonly refusal?: OnnxFileError;
  readonly cost: ModelCost;
  readonly findings: readonly Finding[];
}

/**
 * What an ONNX file says about itself, what a run of it costs, and what the doctor says about it. Weights are never read but for
 * the digest, which streams: a model of 1 GB takes about 100 MB of memory.
 * @throws OnnxFileError when the file is no ONNX model; one that is a model but cannot be served is told as `refusal`
 */
export function inspectModel(
  file: string,
  { executionProvider = 'cpu', ...cost }: InspectOptions = {},
): InspectedModel {
  const examined = (): Pick<InspectedModel, 'cost' | 'findings'> => ({
    cost: costOfModel(file, cost),
    findings: examineModel(readModelOutline(file), { executionProvider }),
  });
  try {
    return { model: readOnnxModel(file), ...examined() };
  } catch (error) {
    // A file that cannot be served has no facts, and is the one that people bring to a doctor.
    if (!OnnxFileError.is(error) || !['TYPE_UNSUPPORTED', 'SHAPE_UNKNOWN'].includes(error.code)) throw error;
    return { refusal: error, ...examined() };
  }
}
