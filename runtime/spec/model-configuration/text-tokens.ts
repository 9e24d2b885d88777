import { SpecError } from '../errors';

export interface Token {
  /** A punctuation mark is its own kind. */
  readonly kind: 'word' | 'number' | 'string' | 'end' | ':' | '{' | '}' | '<' | '>' | '[' | ']' | ',' | ';' | '-';
  readonly line: number;
  /** The value of a string, the written form of everything else. */
  readonly text: string;
}

const SPACE = /(?:[ \t\r\v\f]+|#[^\n]*)+/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?/y;
const MARKS = ':{}<>[],;-';

/** @throws SpecError MODEL_CONFIGURATION_SYNTAX with the line. */
export function tokenize(text: string, file: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  const fail = (message: string): never => {
    throw new SpecError('MODEL_CONFIGURATION_SYNTAX', `${file}:${line}`, message);
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  while (at < text.length) {
    const next = text[at]!;
    const skipped = next === '\n' ? next : match(SPACE);
    if (skipped !== undefined) {
      if (next === '\n') line += 1;
      at += skipped.length;
      continue;
    }
    if (next === '"' || next === "'") {
      const end = findQuote(text, at) ?? fail(`the string that begins here has no closing ${next}`);
      tokens.push({ kind: 'string', line, text: unescape(text.slice(at + 1, end), fail) });
      at = end + 1;
      continue;
    }
    const isMark = MARKS.includes(next);
    const word = isMark ? undefined : match(WORD);
    const token = isMark ? next : (word ?? match(NUMBER) ?? fail(`unexpected character '${next}'`));
    const kind = isMark ? (next as Token['kind']) : word === undefined ? 'number' : 'word';
    at += token.length;
    if (kind === 'number' && /[A-Za-z0-9_.]/.test(text[at] ?? ' ')) fail(`'${token}${text[at]}' is no number`);
    tokens.push({ kind, line, text: token });
  }
  tokens.push({ kind: 'end', line, text: '' });
  return tokens;
}

/** Where a string ends; it may not run over the end of its line. */
function findQuote(text: string, start: number): number | undefined {
  for (let at = start + 1; at < text.length && text[at] !== '\n'; at++) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === text[start]) return at;
  }
  return undefined;
}

const ESCAPE = /\\(?:([abfnrtv?'"\\])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^]?))/g;
const CONTROLS: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Octal and hexadecimal escapes are bytes of UTF-8, not characters. */
function unescape(written: string, fail: (message: string) => never): string {
  if (!written.includes('\\')) return written;
  const bytes: number[] = [];
  const addText = (text: string): void => {
    for (const byte of new TextEncoder().encode(text)) bytes.push(byte);
  };
  let at = 0;
  for (const match of written.matchAll(ESCAPE)) {
    const [escape, control, octal, hex, short, long, unknown] = match;
    addText(written.slice(at, match.index));
    at = match.index + escape.length;
    if (control !== undefined) addText(CONTROLS[control] ?? control);
    else if (octal !== undefined) bytes.push(byteOf(parseInt(octal, 8), escape, fail));
    else if (hex !== undefined) bytes.push(parseInt(hex, 16));
    else if (unknown !== undefined) fail(`'${escape}' is no escape sequence`);
    else addText(characterOf(parseInt((short ?? long)!, 16), escape, fail));
  }
  addText(written.slice(at));
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return fail('a string must be UTF-8, and the escapes of this one are not');
  }
}

function byteOf(value: number, escape: string, fail: (message: string) => never): number {
  return value <= 0xff ? value : fail(`'${escape}' is no byte`);
}

function characterOf(codePoint: number, escape: string, fail: (message: string) => never): string {
  const isCharacter = codePoint <= 0x10ffff && (codePoint < 0xd800 || codePoint > 0xdfff);
  return isCharacter ? String.fromCodePoint(codePoint) : fail(`'${escape}' is no character`);
}
