import { clearField, create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
  type TensorProto,
} from '../generated/onnx-ml_pb';
import { elementType } from '../element-types';
import { OnnxFileError } from '../onnx-file-error';
import { isExternal, tensorBytes } from '../tensor-bytes';
import { walkModel } from '../walk-model';
import type { EditableModel } from './editable-model';
import { bytesOfTensor, setTensorBytes } from './tensor-elements';

export interface WriteModelOptions {
  /** A model of more bytes has its weights in a file of their own. @default - 1.5 GiB: a file of 2 GiB cannot be read */
  readonly maxFileBytes?: number;
}

const DEFAULT_MAX_FILE_BYTES = 1.5 * 2 ** 30;
/** What protocol buffers allow. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;
/** Smaller tensors are shapes, axes and biases: they stay in the model, where they are read without their neighbours. */
const KEPT_BYTES = 1_024;
/** The size of a page, which ONNX recommends so that a runtime can map the file. */
const ALIGNMENT = 4_096;
/** Numbers of fields in `onnx.proto`. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR_RAW_DATA = 9;

/**
 * Writes a model to a new file, with its weights inside, or in `<name>.data` beside it when they are too many. Weights go to
 * the disk one after the other, so that gigabytes of them take no more memory than they had.
 * @returns the files that were written, the model first
 * @throws OnnxFileError FILE_TOO_LARGE, MALFORMED, FILE_UNREADABLE; and what the disk says
 */
export function writeModel(
  model: EditableModel,
  file: string,
  { maxFileBytes = DEFAULT_MAX_FILE_BYTES }: WriteModelOptions = {},
): readonly string[] {
  const { graph } = model.proto;
  const weights = new Set(graph.initializer);
  for (const tensor of walkModel(model.proto).tensors) {
    // What lies deeper, in nodes and subgraphs, is written in one piece with them.
    if (isExternal(tensor) && !weights.has(tensor))
      setTensorBytes(tensor, tensor.dims.map(Number), bytesOfTensor(model, tensor));
  }
  const outline = shallowCopy(graph);
  outline.initializer = [];
  const outlineBytes = toBinary(GraphProtoSchema, outline);
  const shell = shallowCopy<typeof model.proto>(model.proto);
  clearField(shell, ModelProtoSchema.field.graph);

  const total = graph.initializer.reduce((sum, tensor) => sum + tensorBytes(tensor, model.path), 0);
  const isSplit = outlineBytes.byteLength + total > maxFileBytes;
  const dataFile = `${file}.data`;
  const fields = isSplit
    ? writeExternalData(model, dataFile)
    : graph.initializer.map((tensor) => inlineField(model, tensor));
  const length = fields.reduce((sum, field) => sum + field.length, outlineBytes.byteLength);
  if (length > MAX_MESSAGE_BYTES) {
    throw new OnnxFileError('FILE_TOO_LARGE', model.path, `would take ${length} bytes besides its weights, of 2 GiB`);
  }
  writeFile(file, (write) => {
    write(toBinary(ModelProtoSchema, shell));
    write(fieldHead(MODEL_GRAPH, length));
    write(outlineBytes);
    for (const { head, body } of fields) {
      write(head);
      write(body());
    }
  });
  return isSplit ? [file, dataFile] : [file];
}

/** One initializer as a field of the graph, whose length is known before its elements are read. */
interface InitializerField {
  readonly length: number;
  readonly head: Uint8Array;
  readonly body: () => Uint8Array;
}

function inlineField(model: EditableModel, tensor: TensorProto): InitializerField {
  const outline = shallowCopy(tensor);
  const isBare = isExternal(tensor) || tensor.rawData.byteLength > 0;
  if (isBare) {
    clearField(outline, TensorProtoSchema.field.rawData);
    clearField(outline, TensorProtoSchema.field.dataLocation);
    outline.externalData = [];
  }
  const rest = toBinary(TensorProtoSchema, outline);
  const bodyLength = isBare ? tensorBytes(tensor, model.path) : 0;
  const rawHead = isBare ? fieldHead(TENSOR_RAW_DATA, bodyLength) : new Uint8Array();
  const tensorLength = rest.byteLength + rawHead.byteLength + bodyLength;
  const head = Buffer.concat([fieldHead(GRAPH_INITIALIZER, tensorLength), rest, rawHead]);
  const body = () => (isBare ? bytesOfTensor(model, tensor) : new Uint8Array());
  return { length: head.byteLength + bodyLength, head, body };
}

/** Puts the elements of all but small tensors into a file of their own. */
function writeExternalData(model: EditableModel, file: string): readonly InitializerField[] {
  let at = 0;
  const fields: InitializerField[] = [];
  writeFile(file, (write) => {
    for (const tensor of model.proto.graph.initializer) {
      const length = tensorBytes(tensor, model.path);
      if (length < KEPT_BYTES || elementType(tensor.dataType)?.bits === undefined) {
        fields.push(inlineField(model, tensor));
        continue;
      }
      const padding = (ALIGNMENT - (at % ALIGNMENT)) % ALIGNMENT;
      write(new Uint8Array(padding));
      write(bytesOfTensor(model, tensor));
      at += padding;
      const outline = shallowCopy(tensor);
      setTensorBytes(outline, tensor.dims.map(Number), new Uint8Array());
      clearField(outline, TensorProtoSchema.field.rawData);
      outline.dataLocation = TensorProto_DataLocation.EXTERNAL;
      outline.externalData = Object.entries({ location: path.basename(file), offset: at, length }).map(([key, value]) =>
        create(StringStringEntryProtoSchema, { key, value: String(value) }),
      );
      at += length;
      const rest = toBinary(TensorProtoSchema, outline);
      const head = Buffer.concat([fieldHead(GRAPH_INITIALIZER, rest.byteLength), rest]);
      fields.push({ length: head.byteLength, head, body: () => new Uint8Array() });
    }
  });
  return fields;
}

/** A copy of a message that shares what is in its fields; which of them are set is told by their being its own. */
function shallowCopy<T extends object>(message: T): T {
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as T, message);
}

function fieldHead(number: number, length: number): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish();
}

function writeFile(name: string, fill: (write: (bytes: Uint8Array) => void) => void): void {
  const file = openSync(name, 'wx');
  try {
    fill((bytes) => {
      for (let at = 0; at < bytes.byteLength;)
        at += writeSync(file, bytes, at, Math.min(bytes.byteLength - at, 2 ** 30));
    });
  } finally {
    closeSync(file);
  }
}
