import path from 'node:path';

const root = path.join(__dirname, '../..');

/** Real graphs of the ONNX project's own tests; nodes fill the weights in, so the files are small. */
export const LIGHT_RESNET50 = path.join(root, 'bench/light_resnet50.onnx');
export const LIGHT_SQUEEZENET = path.join(root, 'test/fixtures/models/light_squeezenet.onnx');
