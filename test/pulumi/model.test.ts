import * as pulumi from '@pulumi/pulumi';
import { expect, test } from 'vitest';
import { modelAt, modelInImage, modelOnVolume } from 'slipway/pulumi';
import { digitsModel } from './programs/digits-facts';

const source = { version: 2, onnxFile: digitsModel };
const digest = `sha256:${'ab'.repeat(32)}`;

test('a model in an image lies in the repository that the image holds', () => {
  expect(modelInImage(`registry.example.com/models@${digest}`, 'digits', source)).toMatchObject({
    name: 'digits',
    version: 2,
    delivery: 'image',
    location: { folder: 'file:///models/digits/digits/2/' },
    mount: { image: `registry.example.com/models@${digest}` },
  });
});

test('a model on a claim or a driver lies in the repository that the volume holds', () => {
  expect(modelOnVolume({ claimName: 'models' }, 'digits', source)).toMatchObject({
    delivery: 'volume',
    location: { folder: 'file:///models/digits/digits/2/' },
    mount: { volume: { claimName: 'models' } },
  });
  const csi = { driver: 'csi.example.com', attributes: { share: 'a' } };
  expect(modelOnVolume({ csi }, 'digits', source).mount).toEqual({ volume: { csi } });
});

test('a model in a repository is fetched from its own folder, however its URI ends', () => {
  for (const uri of ['s3://team-models', 's3://team-models/']) {
    const { location, delivery } = modelAt(uri, 'digits', source);
    expect(location).toEqual({ folder: 's3://team-models/digits/2/' });
    expect(delivery).toBeUndefined();
  }
});

test.each(['registry.example.com/models:1', `registry.example.com/models:1@sha256:abc`, `@${digest}`])(
  'the image %s, which may be another tomorrow or is none, is refused in one sentence',
  (image) => {
    expect(() => modelInImage(image, 'digits', source)).toThrow(pulumi.RunError);
    expect(() => modelInImage(image, 'digits', source)).toThrow(
      `IMAGE_NOT_PINNED image: must name an image by its digest`,
    );
  },
);

test.each([
  [{}, 'MODEL_DELIVERY digits.volume: must be a claim or a CSI driver, got neither'],
  [{ claimName: 'a', csi: { driver: 'b' } }, 'MODEL_DELIVERY digits.volume: must be a claim or a CSI driver, got both'],
])('the volume %j is refused', (volume, message) => {
  expect(() => modelOnVolume(volume, 'digits', source)).toThrow(message);
});
