import { expect, test } from 'vitest';
import { TextTokenizer } from '../../runtime/preprocess/tokenizer';

const open = (model: object, maxLength = 8): Promise<TextTokenizer> => {
  const file = {
    version: '1.0',
    added_tokens: [],
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'Whitespace' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab: { '[PAD]': 0, '[UNK]': 1, the: 2, lamp: 3 }, ...model },
  };
  return TextTokenizer.open(Buffer.from(JSON.stringify(file)), { tokenizer: 'tokenizer.json', maxLength });
};

test('words that a vocabulary of whole words lacks become its unknown token, also where a text is cut', async () => {
  expect((await open({ unk_token: '[UNK]' })).encode('The green lamp').ids).toEqual([2, 1, 3]);
  expect((await open({ unk_token: '[UNK]' }, 2)).encode('the green lamp').ids).toEqual([2, 1]);
});

test('where the file names no unknown token, a word that is not in the vocabulary is refused by name', async () => {
  const tokenizer = await open({});
  expect(() => tokenizer.encode('the green lamp')).toThrow('the vocabulary has no token for "green"');
});

test('words of any script are words, as in the Python package', async () => {
  const words = ['naïve', 'café', 'हिन्दी', 'привет', '東京', '½', 'x²', 'a_b', '?!'];
  const vocab = Object.fromEntries(words.map((word, i) => [word, i + 2]));
  const tokenizer = await open({ unk_token: '[UNK]', vocab: { '[UNK]': 1, ...vocab } }, 32);
  expect(tokenizer.encode('NAÏVE café?! हिन्दी\u2028привет  東京 ½ x² a_b').ids).toEqual(
    // What the Python package makes of it: `²` is no part of a word, so `x²` falls into two that are not there.
    [2, 3, 10, 4, 5, 6, 7, 1, 1, 9],
  );
});

test('a capital sigma at the end of a word becomes the same small letter as elsewhere', async () => {
  const tokenizer = await open({ unk_token: '[UNK]', vocab: { '[UNK]': 1, οδοσ: 2 } });
  expect(tokenizer.encode('ΟΔΟΣ').ids).toEqual([2]);
});

test('the mark that begins some files is no white space to a tokenizer of bytes', async () => {
  const bytes = ['Ġ', 'ï', '»', '¿', 'Ġï', 'Ġï»', 'Ġï»¿', 'a'];
  const file = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: null,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(bytes.map((token, i) => [token, i])),
      merges: ['Ġ ï', 'Ġï »', 'Ġï» ¿'],
    },
  };
  const tokenizer = await TextTokenizer.open(Buffer.from(JSON.stringify(file)), { tokenizer: 't.json', maxLength: 16 });
  // Two spaces, of which the second one belongs to what follows: were the mark white space, all three would be one piece.
  expect(tokenizer.encode('a  \ufeffa').ids).toEqual([7, 0, 6, 7]);
});
