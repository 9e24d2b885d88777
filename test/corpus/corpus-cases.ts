import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import type { Datatype } from '../../runtime/spec/datatypes';
import type { WireTensor } from './wire-tensor';

export interface CorpusCase {
  readonly name: string;
  readonly modelPath: string;
  readonly inputs: readonly WireTensor[];
}

export interface Corpus {
  /** Of the `onnx` package. */
  readonly onnx: string;
  /** Cases that the package has. */
  readonly all: number;
  /** Those of them whose inputs and outputs are tensors of datatypes that a request can carry. */
  readonly carried: number;
  readonly cases: readonly CorpusCase[];
}

interface Written {
  readonly onnx: string;
  readonly all: number;
  readonly carried: number;
  readonly cases: readonly {
    readonly name: string;
    readonly inputs: readonly {
      readonly name: string;
      readonly datatype: Datatype;
      readonly shape: readonly number[];
      readonly bytes: number;
    }[];
  }[];
}

/** ONNX's own backend node tests. @param sample How many, as different from each other as possible; 0 for all. */
export function writeCases(python: string, sample: number): Corpus {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-corpus-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync(python, ['test/corpus/write_cases.py', folder, String(sample)], { stdio: 'pipe', timeout: 120_000 });
  const written = JSON.parse(readFileSync(path.join(folder, 'cases.json'), 'utf8')) as Written;
  const cases = written.cases.map(({ name, inputs }) => {
    const bytes = readFileSync(path.join(folder, `${name}.bin`));
    let at = 0;
    return {
      name,
      modelPath: path.join(folder, `${name}.onnx`),
      inputs: inputs.map((input) => ({ ...input, bytes: bytes.subarray(at, (at += input.bytes)) })),
    };
  });
  return { ...written, cases };
}
