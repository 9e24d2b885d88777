import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { publishedRepository } from './harness/model-repository';
import { floats, startServer } from './harness/running-server';

const heldout = JSON.parse(readFileSync('models/digits/heldout.json', 'utf8')) as {
  labels: number[];
  images: number[][];
};

test('the served sample model reads at least 97 % of the digits that it never saw, asked one by one and at once', async () => {
  const server = await startServer({
    modelRepository: await publishedRepository('digits', 'models/digits/model.onnx'),
    queueDepthRows: heldout.images.length,
  });
  const answers = await Promise.all(
    heldout.images.map((image) => server.infer('digits', floats('image', [1, 1, 8, 8], image))),
  );
  const right = answers.filter((answer, i) => {
    const probabilities = answer.json.outputs[0].data as number[];
    return probabilities.indexOf(Math.max(...probabilities)) === heldout.labels[i];
  });
  expect(answers).toHaveLength(400);
  expect(right.length / answers.length).toBeGreaterThanOrEqual(0.97);
});
