import path from 'node:path';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';

export const digitsModel = path.resolve(__dirname, '../../../models/digits/model.onnx');
export const digitsFacts = readOnnxModel(digitsModel).facts;
