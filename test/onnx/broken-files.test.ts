import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AttributeProto_AttributeType, TensorProto_DataType } from '../../runtime/onnx/generated/onnx-ml_pb';
import { OnnxFileError } from '../../runtime/onnx/onnx-file-error';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import {
  addOneModel,
  buildModel,
  externalDataModel,
  node,
  twoInputsModel,
  type GraphInit,
  type TensorInit,
} from '../support/onnx-models';
import { emptyFolder, written } from '../support/written-files';
import { expectRefusal, refusal } from './refusal';

const DIGITS = 'models/digits/model.onnx';

describe('a file that is no model', () => {
  test('is named when it does not exist, and a folder is not taken for it', () => {
    const folder = emptyFolder();
    expectRefusal(join(folder, 'none.onnx'), 'FILE_MISSING', 'does not exist');
    expectRefusal(folder, 'FILE_UNREADABLE', 'is no file: name the .onnx file itself');
  });

  test.each([
    ['an empty file', '', 'is empty'],
    ['JSON', '{"a": 1}', 'is not an ONNX model: no field of one begins at byte 0'],
    ['text', 'hello, world', 'is not an ONNX model: no field of one begins at byte 2'],
    ['a zip archive', 'PK\u0003\u0004 whatever follows', 'is not an ONNX model: no field of one begins at byte 2'],
    [
      'a Git LFS pointer',
      'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n',
      'is a Git LFS pointer, not the model: fetch it with `git lfs pull`',
    ],
  ])('is refused in one sentence: %s', (_, content, message) => {
    expectRefusal(written(content), 'NOT_ONNX', message);
  });

  test('is refused when it has no graph', () => {
    expectRefusal(written(Uint8Array.of(8, 8)), 'NOT_ONNX', 'holds no graph: not an ONNX model, or cut off at byte 2');
  });

  test('is refused when a tensor has fewer bytes than its shape needs', () => {
    const short: TensorInit = {
      name: 'w',
      dims: [4n],
      dataType: TensorProto_DataType.FLOAT,
      rawData: new Uint8Array(12),
    };
    expectRefusal(
      written(withInitializer(short)),
      'MALFORMED',
      "tensor 'w' must be 16 bytes, float of shape [4], got 12",
    );
  });

  test.each([
    ['a negative size', [-1n]],
    ['a size beyond all memory', [1n << 40n, 1n << 40n]],
  ])('is refused when a tensor has %s', (_, dims) => {
    const tensor: TensorInit = { name: 'w', dims, dataType: TensorProto_DataType.FLOAT };
    expect(refusal(written(withInitializer(tensor))).code).toBe('MALFORMED');
  });

  test('is refused, not overflowed, when it nests deeper than the decoder goes', () => {
    let graph: GraphInit = { name: 'innermost' };
    for (let depth = 0; depth < 60; depth++) {
      graph = {
        node: [node('If', ['c'], [], [{ name: 'then_branch', type: AttributeProto_AttributeType.GRAPH, g: graph }])],
      };
    }
    expect(refusal(written(buildModel(graph))).code).toBe('MALFORMED');
  });
});

describe('a file that was cut off', () => {
  test('is refused with the byte where it ends and the byte it needs', () => {
    const bytes = readFileSync(DIGITS);
    expectRefusal(
      written(bytes.subarray(0, 50_000)),
      'TRUNCATED',
      'is cut off: the field at byte 34 needs 104509 bytes, the file ends at byte 50000',
    );
  });

  test('is refused wherever it was cut', () => {
    const path = written('');
    for (const model of [addOneModel(), twoInputsModel(), externalDataModel().model]) {
      for (let length = 0; length < model.byteLength; length++) {
        writeFileSync(path, model.subarray(0, length));
        expect(['NOT_ONNX', 'TRUNCATED']).toContain(refusal(path).code);
      }
    }
  });

  test('or whose bytes were changed gives facts or an OnnxFileError, nothing else', () => {
    const model = twoInputsModel();
    const path = written(model);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(model.byteLength - 1), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 8,
        }),
        (changes) => {
          const damaged = Uint8Array.from(model);
          for (const [at, byte] of changes) damaged[at] = byte;
          writeFileSync(path, damaged);
          try {
            readOnnxModel(path);
          } catch (error) {
            expect(OnnxFileError.is(error), String(error)).toBe(true);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('or is random bytes is never accepted', () => {
    const path = written('');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        writeFileSync(path, bytes);
        expect(OnnxFileError.is(refusal(path))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

function withInitializer(tensor: TensorInit): Uint8Array {
  return buildModel({ initializer: [tensor] });
}
