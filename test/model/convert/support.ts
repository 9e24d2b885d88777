import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { convertModel, type Conversion, type ConvertOptions } from '../../../runtime/model/convert/convert-model';
import { parseInput } from '../../../runtime/model/convert/input-signature';
import { pythonProcessEnvironment } from '../../../runtime/model/python/process-environment';
import { temporaryFolder } from '../../server/harness/model-repository';
import { refusalOf } from '../../support/model-tool-refusal';

/** Runs a program of a framework in a folder, such as one that trains networks and saves them there. */
export function runProgram(python: string, folder: string, program: string): void {
  const file = path.join(folder, 'make_sources.py');
  writeFileSync(file, program);
  execFileSync(python, [file], {
    cwd: folder,
    env: pythonProcessEnvironment(process.env),
    stdio: 'pipe',
    timeout: 300_000,
  });
}

/** Converts into a folder of its own. */
export async function convert(
  source: string,
  options: Omit<Partial<ConvertOptions>, 'inputs'> & { readonly inputs?: readonly string[] } = {},
): Promise<Conversion> {
  const { inputs, ...others } = options;
  return convertModel({
    source,
    output: path.join(temporaryFolder(), 'model.onnx'),
    ...others,
    ...(inputs === undefined ? {} : { inputs: inputs.map(parseInput) }),
  });
}

/** What a refused conversion says; fails where anything was left behind. */
export async function refused(source: string, options: Parameters<typeof convert>[1] = {}): Promise<string> {
  const folder = temporaryFolder();
  const { message } = await refusalOf(convert(source, { ...options, output: path.join(folder, 'model.onnx') }));
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new Error(`left behind: ${readdirSync(folder).join()}`);
  return message;
}
