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
