import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { ModelToolError } from '../tool-error';
import type { PythonSetName } from '../python/python-sets';
import { listArchive } from './check-archive';
import { checkExportedProgram } from './check-exported-program';

/** What a trained network comes as. */
export type SourceKind =
  | 'torch-factory'
  | 'torch-pickle'
  | 'torch-script'
  | 'torch-program'
  | 'saved-model'
  | 'keras'
  | 'keras-h5'
  | 'skops'
  | 'sklearn-pickle';

/** A source as it was found, before any Python has opened it. */
export interface ConversionSource {
  readonly kind: SourceKind;
  /** Whole path of the file or folder. */
  readonly path: string;
  /** The function of a Python file that builds the network. */
  readonly factory?: string;
}

/** Whose environment reads it, and which of the Python files. */
export const CONVERTERS: Readonly<Record<SourceKind, { readonly set: PythonSetName; readonly script: string }>> = {
  'torch-factory': { set: 'torch', script: 'convert_torch' },
  'torch-pickle': { set: 'torch', script: 'convert_torch' },
  'torch-script': { set: 'torch', script: 'convert_torch' },
  'torch-program': { set: 'torch', script: 'convert_torch' },
  'saved-model': { set: 'tensorflow', script: 'convert_tensorflow' },
  keras: { set: 'tensorflow', script: 'convert_tensorflow' },
  'keras-h5': { set: 'tensorflow', script: 'convert_tensorflow' },
  skops: { set: 'sklearn', script: 'convert_sklearn' },
  'sklearn-pickle': { set: 'sklearn', script: 'convert_sklearn' },
};

const KNOWN =
  'known are net.py:build (PyTorch), .pt2 (torch.export), .pt (TorchScript), a SavedModel folder, .keras, .h5, .skops, .pkl and .joblib';

/**
 * Says what a source is, by its name and what it holds. Archives are looked through first: names with a way out of the folder,
 * and sizes that nobody would save, are refused.
 * @param source a file, a folder, or `net.py:build`
 * @throws ModelToolError SOURCE_UNREADABLE, SOURCE_UNKNOWN, SOURCE_UNSAFE, SOURCE_TOO_LARGE
 */
export async function findSource(source: string): Promise<ConversionSource> {
  const python = /^(.+\.py):([A-Za-z_]\w*)$/.exec(source);
  if (python !== null) return { kind: 'torch-factory', path: existing(python[1]!, 'file'), factory: python[2]! };
  if (source.endsWith('.py')) {
    throw new ModelToolError('SOURCE_UNKNOWN', source, `which function builds the network? name it: ${source}:build`);
  }
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) return savedModel(existing(source, 'folder'));
  const file = existing(source, 'file');
  switch (path.extname(file).toLowerCase()) {
    case '.pt2':
      await checkExportedProgram(file);
      return { kind: 'torch-program', path: file };
    case '.pt':
    case '.pth':
    case '.ckpt':
      return { kind: await torchKind(file), path: file };
    case '.keras':
      await listArchive(file);
      return { kind: 'keras', path: file };
    case '.h5':
    case '.hdf5':
      if (!startsWith(file, '\x89HDF')) throw notWhat(file, 'an HDF5 file');
      return { kind: 'keras-h5', path: file };
    case '.skops':
      await listArchive(file);
      return { kind: 'skops', path: file };
    case '.pkl':
    case '.pickle':
    case '.joblib':
      return { kind: 'sklearn-pickle', path: file };
    default:
      throw new ModelToolError('SOURCE_UNKNOWN', source, `is nothing that can be converted by its name; ${KNOWN}`);
  }
}

/** Whether only a pickle can read it: anything may run while it is read. */
export function isPickle({ kind }: ConversionSource): boolean {
  return kind === 'sklearn-pickle';
}

function existing(source: string, kind: 'file' | 'folder'): string {
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined) throw new ModelToolError('SOURCE_UNREADABLE', source, 'does not exist');
  if (kind === 'file' && !stats.isFile()) throw notWhat(source, 'a file');
  return path.resolve(source);
}

function savedModel(folder: string): ConversionSource {
  if (existsSync(path.join(folder, 'saved_model.pb'))) return { kind: 'saved-model', path: folder };
  throw new ModelToolError('SOURCE_UNKNOWN', folder, `is a folder without saved_model.pb; ${KNOWN}`);
}

async function torchKind(file: string): Promise<SourceKind> {
  // torch.save wrote pickles before it wrote zips.
  if (!startsWith(file, 'PK')) {
    if (startsWith(file, '\x80')) return 'torch-pickle';
    throw notWhat(file, 'a file of torch.save or torch.jit.save');
  }
  const names = await listArchive(file);
  return names.some((name) => /^[^/]+\/constants\.pkl$/.test(name)) ? 'torch-script' : 'torch-pickle';
}

function startsWith(file: string, magic: string): boolean {
  const wanted = Buffer.from(magic, 'latin1');
  const found = Buffer.alloc(wanted.length);
  const handle = openSync(file, 'r');
  try {
    readSync(handle, found, 0, found.length, 0);
  } finally {
    closeSync(handle);
  }
  return found.equals(wanted);
}

function notWhat(file: string, what: string): ModelToolError {
  return new ModelToolError('SOURCE_UNREADABLE', file, `is not ${what}`);
}
