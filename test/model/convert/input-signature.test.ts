import { expect, test } from 'vitest';
import { parseInput, showInput } from '../../../runtime/model/convert/input-signature';

test('an input is a name, a datatype and a shape, and reads back as it was written', () => {
  const input = parseInput('image = float32[batch, 3, height:64, width]');
  expect(input).toEqual({
    name: 'image',
    datatype: 'float32',
    shape: ['batch', 3, 'height', 'width'],
    sizes: { height: 64 },
  });
  expect(showInput(input)).toBe('image=float32[batch,3,height,width]');
  expect(parseInput('x=int64[]').shape).toEqual([]);
});

test.each([
  ['image', 'must be a name, a datatype and a shape'],
  ['image=float32', 'must be a name, a datatype and a shape'],
  ['x=float[batch]', 'the datatype must be one of float16'],
  ['x=constructor[batch]', 'the datatype must be one of float16'],
  ['x=float32[batch,0]', 'a dimension must be a whole number from 1 up, or a name'],
  ['x=float32[batch,-1]', 'a dimension must be a whole number from 1 up, or a name'],
  ['x=float32[3,batch]', 'batch counts rows, which are the first dimension'],
])('%s is refused', (text, message) => {
  expect(() => parseInput(text)).toThrow(message);
});
