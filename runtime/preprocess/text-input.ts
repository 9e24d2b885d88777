import { makeTensorData, type Tensor } from '../onnx/tensor-encoding';
import { toHalfBits } from '../onnx/half-float';
import type { Datatype } from '../spec/datatypes';
import type { TensorSignature } from '../spec/model-facts';
import type { TextPreprocessing } from '../spec/preprocessing';
import type { TextTokenizer, Tokens } from './tokenizer';

/** Lays token ids of texts side by side, padded to one length, with what says which of them are padding. */
export function textTensors(
  texts: readonly Tokens[],
  { feeds, padding, maxLength }: TextPreprocessing,
  tokenizer: Pick<TextTokenizer, 'paddingId' | 'padsLeft'>,
  signatureOf: (input: string) => TensorSignature,
): readonly Tensor[] {
  const isFixed = typeof signatureOf(feeds.ids).shape[1] === 'number';
  const isFull = padding === undefined ? isFixed : padding === 'full' || isFixed;
  const length = isFull ? maxLength : Math.max(1, ...texts.map(({ ids }) => ids.length));
  const tensor = (input: string, filler: number, valueOf: (tokens: Tokens, i: number) => number): Tensor => {
    const { name, datatype } = signatureOf(input);
    const element = elementOf(datatype);
    const data = makeTensorData(datatype, texts.length * length, (at) => {
      const tokens = texts[Math.floor(at / length)]!;
      const i = (at % length) - (tokenizer.padsLeft ? length - tokens.ids.length : 0);
      return element(i >= 0 && i < tokens.ids.length ? valueOf(tokens, i) : filler);
    });
    return { name, datatype, shape: [texts.length, length], data };
  };
  return [
    tensor(feeds.ids, tokenizer.paddingId, ({ ids }, i) => ids[i]!),
    ...(feeds.mask === undefined ? [] : [tensor(feeds.mask, 0, () => 1)]),
    ...(feeds.types === undefined ? [] : [tensor(feeds.types, 0, ({ types }, i) => types[i]!)]),
  ];
}

function elementOf(datatype: Datatype): (value: number) => number | bigint {
  if (datatype === 'INT64' || datatype === 'UINT64') return BigInt;
  return datatype === 'FP16' ? toHalfBits : (value) => value;
}
