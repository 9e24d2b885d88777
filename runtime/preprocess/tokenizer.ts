import { showJson } from '../onnx/show-json';
import { PREPROCESSING_LIMITS, type TextPreprocessing } from '../spec/preprocessing';
import { PreprocessError } from './preprocess-error';
import { asPythonDoes, makesSmall } from './tokenizer-rules';

/** Token ids of one text, and for each the part of the text that it is of. */
export interface Tokens {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

/** What is used of the library, whose own declarations do not resolve for every kind of module. */
interface HuggingFaceTokenizer {
  encode(
    text: string,
    options: { readonly return_token_type_ids: true },
  ): {
    readonly ids: readonly number[];
    readonly tokens: readonly string[];
    readonly token_type_ids?: readonly number[];
  };
  tokenize(text: string): readonly string[];
  readonly post_processor: ((tokens: readonly string[], pair: null, addsSpecialTokens: boolean) => Processed) | null;
}

type OpenTokenizer = new (file: object, configuration: object) => HuggingFaceTokenizer;

/** What the file says besides what its library reads. */
interface TokenizerFile {
  readonly normalizer?: { readonly type?: string } | null;
  readonly pre_tokenizer?: { readonly type?: string } | null;
  readonly truncation?: { readonly direction?: string } | null;
  readonly padding?: { readonly direction?: string; readonly pad_id?: number } | null;
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
  readonly model?: { readonly unk_token?: unknown } | null;
}

interface Processed {
  readonly tokens: readonly string[];
  readonly token_type_ids?: readonly number[];
}

/** So many characters for each token that is kept: a longer text is no text that its end could matter for. */
const CHARACTERS_PER_TOKEN = 64;
const LEAST_CHARACTERS = 4_096;
const MOST_CHARACTERS = 2 ** 20;
/** Names that padding goes by where the file has no word on it. */
const PADDING_TOKENS = ['[PAD]', '<pad>', '<|pad|>'];

/** Turns text into ids by a `tokenizer.json`, cut to a length with its special tokens kept. */
export class TextTokenizer {
  /** A text with more is refused. */
  readonly maxCharacters: number;
  readonly paddingId: number;
  readonly padsLeft: boolean;
  private readonly cutsLeft: boolean;
  private readonly makesSmall: boolean;

  private constructor(
    private readonly tokenizer: HuggingFaceTokenizer,
    file: TokenizerFile,
    private readonly maxLength: number,
  ) {
    this.maxCharacters = Math.min(MOST_CHARACTERS, Math.max(LEAST_CHARACTERS, maxLength * CHARACTERS_PER_TOKEN));
    const named = file.added_tokens?.find(({ content }) => PADDING_TOKENS.includes(content));
    this.paddingId = file.padding?.pad_id ?? named?.id ?? 0;
    this.padsLeft = file.padding?.direction === 'Left';
    this.cutsLeft = file.truncation?.direction === 'Left';
    this.makesSmall = makesSmall(file);
  }

  /** @throws PreprocessError for a file that is no tokenizer, or one whose special tokens alone are longer than a text may be. */
  static async open(
    bytes: Uint8Array,
    { tokenizer: name, maxLength }: Pick<TextPreprocessing, 'tokenizer' | 'maxLength'>,
  ): Promise<TextTokenizer> {
    if (bytes.byteLength > PREPROCESSING_LIMITS.tokenizerBytes) {
      throw new PreprocessError(
        'setup',
        `'${name}' must have at most ${PREPROCESSING_LIMITS.tokenizerBytes} bytes, got ${bytes.byteLength}`,
      );
    }
    const { Tokenizer } = (await import('@huggingface/tokenizers')) as unknown as { readonly Tokenizer: OpenTokenizer };
    try {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
      const file = JSON.parse(text) as TokenizerFile;
      // The library takes names of classes from a second file; without it, it does what this file says. Only for a vocabulary
      // of whole words it looks for the name of what is unknown there.
      const unknown = file.model?.unk_token;
      const second = typeof unknown === 'string' ? { unk_token: unknown } : {};
      const opened = new TextTokenizer(new Tokenizer(asPythonDoes(file), second), file, maxLength);
      const least = opened.encodeWhole('').ids.length;
      if (least >= maxLength) throw new Error(`its special tokens leave nothing of maxLength ${maxLength}`);
      return opened;
    } catch (error) {
      throw new PreprocessError('setup', `'${name}' is no tokenizer.json: ${(error as Error).message.slice(0, 200)}`);
    }
  }

  /** @throws PreprocessError for a text that is too long to be read, or that has what the vocabulary has not. */
  encode(given: string): Tokens {
    // The Python package looks at one letter after the other; JavaScript knows the sigma at the end of a word.
    const text = this.makesSmall ? given.replaceAll('Σ', 'σ') : given;
    if (text.length > this.maxCharacters) {
      throw new PreprocessError(
        'input',
        `a text must have at most ${this.maxCharacters} characters, got ${text.length}`,
      );
    }
    const whole = this.encodeWhole(text);
    if (whole.ids.length <= this.maxLength) return whole;
    const plain = this.tokenizer.tokenize(text);
    const kept = this.maxLength - (whole.ids.length - plain.length);
    const cut = this.cutsLeft ? plain.slice(-kept) : plain.slice(0, kept);
    const processed: Processed = this.tokenizer.post_processor?.(cut, null, true) ?? { tokens: cut };
    const ids = new Map(whole.tokens.map((token, i) => [token, whole.ids[i]!]));
    const tokens = processed.tokens;
    return {
      ids: tokens.map((token) => ids.get(token)!),
      types: typesOf(tokens.length, processed.token_type_ids),
    };
  }

  private encodeWhole(text: string): Tokens & { readonly tokens: readonly string[] } {
    const { ids, tokens, token_type_ids: types } = this.tokenizer.encode(text, { return_token_type_ids: true });
    const unknown = (ids as readonly (number | undefined)[]).findIndex((id) => !Number.isSafeInteger(id));
    if (unknown >= 0) {
      throw new PreprocessError('input', `the vocabulary has no token for ${showJson(tokens[unknown])}`);
    }
    return { ids, tokens, types: typesOf(ids.length, types) };
  }
}

function typesOf(length: number, given: readonly number[] | undefined): readonly number[] {
  return given?.length === length ? given : new Array<number>(length).fill(0);
}
