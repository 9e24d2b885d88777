import { basename, dirname, extname, resolve } from 'node:path';
import { MODEL_FILE, parseVersionFolder } from '../spec/model-repository';

/**
 * What the place of an ONNX file says about its name and version: `models/digits/model.onnx` is 'digits' 1,
 * `models/digits/3/model.onnx` is 'digits' 3, `models/resnet50.onnx` is 'resnet50' 1.
 */
export function placeOfModel(path: string): { name: string; version: number } {
  const file = resolve(path);
  if (basename(file) !== MODEL_FILE) return { name: basename(file, extname(file)), version: 1 };
  const folder = dirname(file);
  const version = parseVersionFolder(basename(folder));
  return version === undefined ? { name: basename(folder), version: 1 } : { name: basename(dirname(folder)), version };
}
