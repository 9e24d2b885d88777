import { readHeldOutDigits } from '../../../runtime/cli/quickstart/held-out-digits';
import { floats, integers, writeNpz } from '../data/support';

export const DIGITS_MODEL = 'models/digits/model.onnx';

/** The images that training never saw, as rows with labels: the model gets all of them right. */
export function digitsNpz(options: { rows?: number; mislabelled?: number } = {}): string {
  const digits = readHeldOutDigits('models/digits/heldout.json').slice(0, options.rows);
  const pixels = digits.flatMap((digit) => [...digit.pixels]);
  const labels = digits.map(({ label }, i) => (i < (options.mislabelled ?? 0) ? (label + 1) % 10 : label));
  return writeNpz({ image: floats([digits.length, 1, 8, 8], pixels), labels: integers([digits.length], labels) });
}
