/** A step of a `tokenizer.json`, which may hold others. */
interface Rule {
  readonly type?: string;
  readonly normalizers?: readonly Rule[];
  readonly pretokenizers?: readonly Rule[];
  readonly use_regex?: boolean;
  readonly add_prefix_space?: boolean;
}

interface Rules {
  readonly normalizer?: Rule | null;
  readonly pre_tokenizer?: Rule | null;
}

/** What `\w` and `\s` are in Rust, which the Python package is written in (https://docs.rs/regex/latest/regex/#perl-character-classes-unicode-friendly). */
const WORD = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`;
const SPACE = String.raw`\p{White_Space}`;

/**
 * Steps that the JavaScript library does otherwise than the Python package, by what it does alike: its `Whitespace` takes letters
 * beyond ASCII for punctuation, so that `naïve` falls into three.
 */
const WHITESPACE = {
  type: 'Split',
  pattern: { Regex: `[${WORD}]+|[^${WORD}${SPACE}]+` },
  behavior: 'Removed',
  invert: true,
};

/** GPT-2's, in which JavaScript's `\s` has the mark that begins files, and Rust's has not. */
const GPT2_SPLIT = {
  type: 'Split',
  pattern: {
    Regex: `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|${SPACE}+(?!\\P{White_Space})|${SPACE}+`,
  },
  behavior: 'Isolated',
  invert: false,
};

/** The same tokenizer, such that the JavaScript library makes what the Python package makes. */
export function asPythonDoes<File extends object>(file: File): File {
  const { normalizer, pre_tokenizer } = file as Rules;
  return {
    ...file,
    ...(normalizer ? { normalizer: alike(normalizer) } : {}),
    ...(pre_tokenizer ? { pre_tokenizer: alike(pre_tokenizer) } : {}),
  };
}

function alike(rule: Rule): object {
  const { type, normalizers, pretokenizers } = rule;
  if (type === 'Whitespace') return WHITESPACE;
  // Where a space is put before a text, it must be there when the text is split, and the library does both in one.
  if (type === 'ByteLevel' && rule.use_regex !== false && rule.add_prefix_space !== true) {
    return { type: 'Sequence', pretokenizers: [GPT2_SPLIT, { ...rule, use_regex: false }] };
  }
  return {
    ...rule,
    ...(normalizers === undefined ? {} : { normalizers: normalizers.map(alike) }),
    ...(pretokenizers === undefined ? {} : { pretokenizers: pretokenizers.map(alike) }),
  };
}

/** Whether a tokenizer makes letters small, by whichever of its steps. */
export function makesSmall({ normalizer }: Rules): boolean {
  const isOne = (rule: Rule & { readonly lowercase?: boolean }): boolean =>
    rule.type === 'Lowercase' ||
    (rule.type === 'BertNormalizer' && rule.lowercase !== false) ||
    (rule.normalizers ?? []).some(isOne);
  return normalizer ? isOne(normalizer) : false;
}
