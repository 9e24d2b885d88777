import { ProtobufReader, WIRE } from './protobuf-reader';

/** A value of `InferParameter`; whole numbers that a double cannot hold are bigint. */
export type ParameterValue = boolean | number | bigint | string;
export type Parameters = ReadonlyMap<string, ParameterValue>;

/** `ModelInferRequest` as it came. Nothing is checked against a model yet, and no tensor is copied. */
export interface InferRequestMessage {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly InputMessage[];
  readonly outputs: readonly RequestedOutputMessage[];
  /** `raw_input_contents`: one for each input, or none at all. */
  readonly raw: readonly Buffer[];
}

export interface InputMessage {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly parameters: Parameters;
  /** `InferTensorContents`, in as many pieces as the client split it into. */
  readonly contents: readonly Buffer[];
}

export interface RequestedOutputMessage {
  readonly name: string;
  readonly parameters: Parameters;
}

const NO_PARAMETERS: Parameters = new Map();

/**
 * Reads a `ModelInferRequest`: fields in any order, packed or not, those that it does not know passed over.
 * @throws ServerError MALFORMED_REQUEST
 */
export function readInferRequestMessage(bytes: Buffer): InferRequestMessage {
  const reader = new ProtobufReader(bytes);
  let modelName = '';
  let modelVersion = '';
  let id = '';
  const parameters = new ParametersReader();
  const inputs: InputMessage[] = [];
  const outputs: RequestedOutputMessage[] = [];
  const raw: Buffer[] = [];
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === field(1)) modelName = reader.string();
    else if (tag === field(2)) modelVersion = reader.string();
    else if (tag === field(3)) id = reader.string();
    else if (tag === field(4)) parameters.readEntry(reader.message());
    else if (tag === field(5)) inputs.push(readInput(reader.message()));
    else if (tag === field(6)) outputs.push(readRequestedOutput(reader.message()));
    else if (tag === field(7)) raw.push(reader.view());
    else reader.skip(tag);
  }
  return { modelName, modelVersion, id, parameters: parameters.all, inputs, outputs, raw };
}

function readInput(reader: ProtobufReader): InputMessage {
  let name = '';
  let datatype = '';
  const shape: number[] = [];
  const parameters = new ParametersReader();
  const contents: Buffer[] = [];
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === field(1)) name = reader.string();
    else if (tag === field(2)) datatype = reader.string();
    else if (tag === field(3)) {
      const packed = reader.message();
      while (!packed.isAtEnd) shape.push(packed.int());
    } else if (tag === field(3, WIRE.varint)) shape.push(reader.int());
    else if (tag === field(4)) parameters.readEntry(reader.message());
    else if (tag === field(5)) contents.push(reader.view());
    else reader.skip(tag);
  }
  return { name, datatype, shape, parameters: parameters.all, contents };
}

function readRequestedOutput(reader: ProtobufReader): RequestedOutputMessage {
  let name = '';
  const parameters = new ParametersReader();
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === field(1)) name = reader.string();
    else if (tag === field(2)) parameters.readEntry(reader.message());
    else reader.skip(tag);
  }
  return { name, parameters: parameters.all };
}

/** Collects the entries of a map from names to `InferParameter`; most requests have none. */
class ParametersReader {
  private map: Map<string, ParameterValue> | undefined;

  get all(): Parameters {
    return this.map ?? NO_PARAMETERS;
  }

  /** Key and value may come in either order, and the value in pieces. */
  readEntry(entry: ProtobufReader): void {
    let name = '';
    let value: ParameterValue | undefined;
    while (!entry.isAtEnd) {
      const tag = entry.tag();
      if (tag === field(1)) name = entry.string();
      else if (tag === field(2)) value = readParameter(entry.message()) ?? value;
      else entry.skip(tag);
    }
    // A parameter without a value says nothing.
    if (value !== undefined) (this.map ??= new Map()).set(name, value);
  }
}

function readParameter(reader: ProtobufReader): ParameterValue | undefined {
  let value: ParameterValue | undefined;
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === field(1, WIRE.varint)) value = reader.bool();
    else if (tag === field(2, WIRE.varint)) value = narrow(reader.bigint(true));
    else if (tag === field(3)) value = reader.string();
    else if (tag === field(4, WIRE.fixed64)) value = reader.double();
    else if (tag === field(5, WIRE.varint)) value = narrow(reader.bigint(false));
    else reader.skip(tag);
  }
  return value;
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function field(number: number, wire: number = WIRE.bytes): number {
  return number * 8 + wire;
}
