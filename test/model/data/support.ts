import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { writeNpy } from '../../../runtime/onnx/npy';
import type { TensorData } from '../../../runtime/onnx/tensor-encoding';
import type { Datatype } from '../../../runtime/spec/datatypes';
import { ModelToolError } from '../../../runtime/model/tool-error';
import { temporaryFolder } from '../../server/harness/model-repository';

export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isDeflated?: boolean;
  /** What the zip says, where it lies. */
  readonly claimedBytes?: number;
  readonly claimedChecksum?: number;
}

/** A zip file as its specification has it (PKWARE APPNOTE 4.3), so that tests can write what no tool would. */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, isDeflated = false, claimedBytes, claimedChecksum } of entries) {
    const body = isDeflated ? deflateRawSync(bytes) : Buffer.from(bytes);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(0x800, 2);
    fields.writeUInt16LE(isDeflated ? 8 : 0, 4);
    fields.writeUInt32LE(claimedChecksum ?? crc32(bytes), 10);
    fields.writeUInt32LE(body.byteLength, 14);
    fields.writeUInt32LE(claimedBytes ?? bytes.byteLength, 18);
    fields.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), body]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), fields, tail, Buffer.from(name)]));
    parts.push(local);
    at += local.byteLength;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.byteLength, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, central, end]);
}

export interface Array_ {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export function npy(array: Array_): Buffer {
  return Buffer.concat(writeNpy(array));
}

/** Writes arrays by name as an `.npz` file and says where it lies. */
export function writeNpz(arrays: Readonly<Record<string, Array_>>, options: { isDeflated?: boolean } = {}): string {
  const file = path.join(temporaryFolder(), 'data.npz');
  const entries = Object.entries(arrays).map(([name, array]) => ({
    name: `${name}.npy`,
    bytes: npy(array),
    ...options,
  }));
  writeFileSync(file, zip(entries));
  return file;
}

export function writeData(name: string, content: string | Uint8Array): string {
  const file = path.join(temporaryFolder(), name);
  writeFileSync(file, content);
  return file;
}

export const floats = (shape: readonly number[], data: readonly number[]): Array_ => ({
  datatype: 'FP32',
  shape,
  data: Float32Array.from(data),
});

export const integers = (shape: readonly number[], data: readonly number[]): Array_ => ({
  datatype: 'INT64',
  shape,
  data: BigInt64Array.from(data, BigInt),
});

/** The error that a tool is refused with; any other error, or none, fails the test. */
export async function toolError(working: Promise<unknown>): Promise<ModelToolError> {
  const error = await working.then(
    () => new Error('nothing was refused'),
    (reason: unknown) => reason,
  );
  if (!ModelToolError.is(error)) throw error;
  return error;
}
