import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Packages that tools need together. Frameworks that quarrel about what they stand on are in different sets. */
export type PythonSetName = 'onnx' | 'torch' | 'tensorflow' | 'sklearn';

export interface PythonSet {
  readonly name: string;
  /** Files for pip, each installed by itself, in order; those of `withoutDependencies` with `--no-deps`. */
  readonly requirements: readonly string[];
  readonly withoutDependencies?: readonly string[];
  /** The lowest versions that the tools work with, for an interpreter that is given. Names after a bar serve as well. */
  readonly minimums: Readonly<Record<string, string>>;
  /** Interpreters that have wheels of all of it, as `major.minor`: from, to. */
  readonly versions: readonly [from: string, to: string];
}

const ONNX = { onnx: '1.16', onnxruntime: '1.20', numpy: '1.26' };

const FACTS: Readonly<Record<PythonSetName, Omit<PythonSet, 'name' | 'requirements' | 'withoutDependencies'>>> = {
  onnx: { minimums: { ...ONNX, onnxslim: '0.1.50', 'onnxconverter-common': '1.14' }, versions: ['3.11', '3.14'] },
  torch: { minimums: { ...ONNX, torch: '2.6', onnxscript: '0.2' }, versions: ['3.11', '3.14'] },
  tensorflow: {
    minimums: { ...ONNX, 'tensorflow-cpu|tensorflow': '2.16', keras: '3.0', tf2onnx: '1.16' },
    versions: ['3.11', '3.13'],
  },
  sklearn: {
    minimums: { ...ONNX, 'scikit-learn': '1.4', skl2onnx: '1.17', skops: '0.10' },
    versions: ['3.11', '3.14'],
  },
};

export const PYTHON_SETS = Object.keys(FACTS) as readonly PythonSetName[];

/** A set as it ships with this package. */
export function pythonSet(name: PythonSetName): PythonSet {
  const folder = join(pythonFolder(), 'requirements');
  const more = join(folder, `${name}.without-dependencies.txt`);
  return {
    name,
    requirements: [join(folder, `${name}.txt`)],
    ...(existsSync(more) ? { withoutDependencies: [more] } : {}),
    ...FACTS[name],
  };
}

/** What decides what is installed: the same text, the same environment. */
export function requirementsText({ requirements, withoutDependencies = [] }: PythonSet): string {
  return [...requirements, '--no-deps', ...withoutDependencies]
    .map((file) => (file === '--no-deps' ? file : readFileSync(file, 'utf8')))
    .join('\n');
}

/** Where the tools' Python files lie: beside this file in a checkout, in `dist/python` of the package. */
export function pythonFolder(): string {
  return existsSync(join(__dirname, 'slipway_tool.py')) ? __dirname : join(__dirname, '..', '..', '..', 'python');
}
