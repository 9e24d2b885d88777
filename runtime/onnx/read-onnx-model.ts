import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, statSync, type Stats } from 'node:fs';
import type { ModelFacts, ModelFile, OperatorUse, OpsetImport } from '../spec/model-facts';
import { MODEL_FILE } from '../spec/model-repository';
import { decodeModel, type DecodedModel } from './decode-model';
import { findExternalFiles } from './external-data';
import type { NodeProto } from './generated/onnx-ml_pb';
import { OnnxFileError } from './onnx-file-error';
import { readInputs, readOutputs } from './signature';
import { tensorBytes } from './tensor-bytes';
import { walkModel } from './walk-model';

/** A file of a model, where it lies on this machine and what it is called in a model repository. */
export interface OnnxModelFile extends ModelFile {
  readonly localPath: string;
}

/** An ONNX model as read from its file; the weights themselves are not kept. */
export interface OnnxModel {
  readonly facts: ModelFacts;
  /** `model.onnx` first, whatever the file is called here, then each external data file once. */
  readonly files: readonly OnnxModelFile[];
  readonly irVersion: number;
  /** What wrote the file, such as `pytorch 2.9`; empty when the file does not say. */
  readonly producer: string;
  readonly graphName: string;
}

// Protocol buffers cannot be larger; bigger models keep their weights as external data.
const MAX_MODEL_BYTES = 2 ** 31 - 1;
const HASH_CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Reads an ONNX file without running it and without ONNX Runtime: signature, opsets, operators, sizes, and the SHA-256
 * of every file that belongs to it.
 * @throws OnnxFileError saying in one sentence what is wrong with the file.
 */
export function readOnnxModel(path: string): OnnxModel {
  const bytes = readModelFile(path);
  const model = decodeModel(bytes, path);
  const { nodes, tensors } = walkModel(model);
  const files: OnnxModelFile[] = [
    { path: MODEL_FILE, bytes: bytes.byteLength, sha256: sha256(bytes), localPath: path },
    ...findExternalFiles(tensors, path).map((file) => ({
      path: file.path,
      bytes: file.bytes,
      sha256: sha256OfFile(file.localPath),
      localPath: file.localPath,
    })),
  ];
  const facts: ModelFacts = {
    inputs: readInputs(model.graph, path),
    outputs: readOutputs(model.graph, path),
    opsets: readOpsets(model),
    operators: countOperators(nodes, model),
    weightBytes: sum(tensors.map((tensor) => tensorBytes(tensor, path))),
    fileBytes: sum(files.map((file) => file.bytes)),
  };
  return {
    facts,
    files,
    irVersion: Number(model.irVersion),
    producer: `${model.producerName} ${model.producerVersion}`.trim(),
    graphName: model.graph.name,
  };
}

function readModelFile(path: string): Uint8Array {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new OnnxFileError('FILE_MISSING', path, 'does not exist');
    throw new OnnxFileError('FILE_UNREADABLE', path, (error as Error).message);
  }
  if (!stats.isFile()) throw new OnnxFileError('FILE_UNREADABLE', path, 'is no file: name the .onnx file itself');
  if (stats.size > MAX_MODEL_BYTES) {
    throw new OnnxFileError(
      'FILE_TOO_LARGE',
      path,
      `must be below 2 GiB (${MAX_MODEL_BYTES} bytes), got ${stats.size}: save the weights as external data`,
    );
  }
  try {
    return readFileSync(path);
  } catch (error) {
    throw new OnnxFileError('FILE_UNREADABLE', path, (error as Error).message);
  }
}

/** Opsets of the model and of its local functions, the highest of each domain, in the order of the file. */
function readOpsets(model: DecodedModel): readonly OpsetImport[] {
  const versions = new Map<string, number>();
  for (const { domain, version } of [model, ...model.functions].flatMap((part) => part.opsetImport)) {
    const key = canonicalDomain(domain);
    versions.set(key, Math.max(versions.get(key) ?? 0, Number(version)));
  }
  const localDomains = new Set(model.functions.map((local) => local.domain));
  return [...versions]
    .filter(([domain]) => domain === '' || !localDomains.has(domain))
    .map(([domain, version]) => ({ domain, version }));
}

/** A call of a local function is no operator: the nodes of its body are counted instead, once. */
function countOperators(nodes: readonly NodeProto[], model: DecodedModel): readonly OperatorUse[] {
  const localFunctions = new Set(model.functions.map((local) => operatorKey(local.domain, local.name)));
  const uses = new Map<string, OperatorUse>();
  for (const node of nodes) {
    const domain = canonicalDomain(node.domain);
    const key = operatorKey(domain, node.opType);
    if (localFunctions.has(key)) continue;
    uses.set(key, { domain, operator: node.opType, count: (uses.get(key)?.count ?? 0) + 1 });
  }
  return [...uses.keys()].sort().map((key) => uses.get(key) as OperatorUse);
}

/** `ai.onnx` is the long name of the standard domain `''`. */
function canonicalDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function operatorKey(domain: string, operator: string): string {
  return `${canonicalDomain(domain)}:${operator}`;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function sha256OfFile(path: string): string {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(HASH_CHUNK_BYTES);
  try {
    const file = openSync(path, 'r');
    try {
      for (let n = readSync(file, chunk); n > 0; n = readSync(file, chunk)) hash.update(chunk.subarray(0, n));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new OnnxFileError('FILE_UNREADABLE', path, (error as Error).message);
  }
  return hash.digest('hex');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
