import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { buildModel, externalDataModel, externalTensor } from '../support/onnx-models';
import { emptyFolder, written } from '../support/written-files';
import { expectRefusal, refusal } from './refusal';

describe('external data', () => {
  function writtenExternal(options: { location?: string; write?: string | undefined; keep?: number } = {}): string {
    const { model, weights } = externalDataModel(options.location === undefined ? {} : { location: options.location });
    const path = written(model);
    const file = join(path, '..', options.write ?? 'weights.bin');
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, weights.subarray(0, options.keep));
    return path;
  }

  test('is a file of the model, with its size and digest', () => {
    const path = writtenExternal();
    const weights = readFileSync(join(path, '..', 'weights.bin'));
    const { facts, files } = readOnnxModel(path);
    expect(files[1]).toEqual({
      path: 'weights.bin',
      bytes: 80,
      sha256: createHash('sha256').update(weights).digest('hex'),
      localPath: join(path, '..', 'weights.bin'),
    });
    expect(facts).toMatchObject({ weightBytes: 16, fileBytes: readFileSync(path).byteLength + 80 });
  });

  test('is listed once, however many tensors lie in it, and found in a folder below the model', () => {
    const path = written(
      buildModel({
        initializer: [
          externalTensor('a', 'FP32', [2], { location: './parts/w.bin' }),
          externalTensor('b', 'FP32', [2], { location: 'parts/w.bin', offset: '8', length: '8' }),
        ],
      }),
    );
    mkdirSync(join(path, '..', 'parts'));
    writeFileSync(join(path, '..', 'parts', 'w.bin'), new Uint8Array(16));
    expect(readOnnxModel(path).files.map((file) => file.path)).toEqual(['model.onnx', 'parts/w.bin']);
  });

  test('that is missing is named, with the place where it should be', () => {
    const path = written(externalDataModel().model);
    const place = join(path, '..', 'weights.bin');
    expectRefusal(
      path,
      'EXTERNAL_DATA_MISSING',
      `tensor 'weight' lies in 'weights.bin', which is missing: put it beside the model, at ${place}`,
    );
  });

  test('that is too short for its tensors is refused with both numbers', () => {
    expectRefusal(
      writtenExternal({ keep: 79 }),
      'EXTERNAL_DATA_TRUNCATED',
      "tensor 'weight' ends at byte 80 of 'weights.bin', which ends at byte 79",
    );
  });

  test.each(['../weights.bin', '/etc/passwd', 'a/../../weights.bin', 'a\\weights.bin', '..'])(
    'may not leave the folder of the model: %s',
    (location) => {
      expectRefusal(
        writtenExternal({ location, write: 'weights.bin' }),
        'EXTERNAL_DATA_OUTSIDE',
        `tensor 'weight' lies in '${location}', which leaves the model's folder: export it with a relative path`,
      );
    },
  );

  test('may not be a link that leaves the folder of the model', () => {
    const { model, weights } = externalDataModel();
    const path = written(model);
    const elsewhere = written(weights, 'secret');
    symlinkSync(elsewhere, join(path, '..', 'weights.bin'));
    expect(refusal(path).code).toBe('EXTERNAL_DATA_OUTSIDE');
  });

  test('may be a link into the folder where the model itself is linked from, as model caches do', () => {
    const { model, weights } = externalDataModel();
    const cache = emptyFolder();
    mkdirSync(join(cache, 'blobs'));
    mkdirSync(join(cache, 'snapshot'));
    writeFileSync(join(cache, 'blobs', 'aa'), model);
    writeFileSync(join(cache, 'blobs', 'bb'), weights);
    symlinkSync('../blobs/aa', join(cache, 'snapshot', 'model.onnx'));
    symlinkSync('../blobs/bb', join(cache, 'snapshot', 'weights.bin'));
    expect(readOnnxModel(join(cache, 'snapshot', 'model.onnx')).files[1]?.bytes).toBe(80);
  });

  test('may not take a name that the model repository needs', () => {
    expect(refusal(writtenExternal({ location: 'manifest.json' })).code).toBe('EXTERNAL_DATA_INVALID');
    expect(refusal(writtenExternal({ location: 'model.onnx' })).code).toBe('EXTERNAL_DATA_INVALID');
  });

  test.each([
    [{ location: 'weights.bin', offset: '-1' }, "has external data with offset '-1', which must be a number of bytes"],
    [{ location: 'weights.bin', length: '12' }, 'must be 16 bytes by its shape, got a length of 12'],
    [{ offset: '0' }, 'lies in another file, but names none'],
  ])('with entries that make no sense is refused: %j', (entries, message) => {
    const path = written(buildModel({ initializer: [externalTensor('w', 'FP32', [4], entries)] }));
    writeFileSync(join(path, '..', 'weights.bin'), new Uint8Array(16));
    expectRefusal(path, 'EXTERNAL_DATA_INVALID', `tensor 'w' ${message}`);
  });
});
