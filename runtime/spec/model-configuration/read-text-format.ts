import { SpecError } from '../errors';
import type { RawMessage, RawScalar, RawValue } from './raw-message';
import { tokenize, type Token } from './text-tokens';

// Deeper than any field of a model configuration; a file of brackets only must not exhaust the stack.
const MAX_DEPTH = 32;

/**
 * Reads protocol buffer text format (https://protobuf.dev/reference/protobuf/textformat-spec/) without a schema:
 * comments, nested messages with or without a colon and in braces or angle brackets, lists, adjacent strings, escapes.
 * Extension and Any names in brackets are refused: no field of a model configuration needs them.
 * @throws SpecError MODEL_CONFIGURATION_SYNTAX with the line.
 */
export function readTextFormat(text: string, file: string): RawMessage {
  return new TextFormatReader(tokenize(text, file), file).read();
}

class TextFormatReader {
  private at = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly file: string,
  ) {}

  read(): RawMessage {
    return this.message('end', 1, 0);
  }

  private message(end: string, line: number, depth: number): RawMessage {
    if (depth > MAX_DEPTH) throw this.error(line, `nests deeper than ${MAX_DEPTH} messages`);
    const fields = new Map<string, { line: number; isList: boolean; values: RawValue[] }>();
    while (!this.skip(end)) {
      const name = this.next();
      if (name.kind !== 'word') throw this.error(name.line, `expected a field name, got ${show(name)}`);
      const { values, isList } = this.values(name, depth);
      const field = fields.get(name.text);
      if (field === undefined) {
        fields.set(name.text, { line: name.line, isList, values });
      } else {
        field.values.push(...values);
        field.isList = true;
      }
      if (!this.skip(',')) this.skip(';');
    }
    return { kind: 'message', line, form: 'text', fields: fields };
  }

  private values(name: Token, depth: number): { values: RawValue[]; isList: boolean } {
    const hasColon = this.skip(':');
    const open = this.peek();
    if (!hasColon && !['{', '<', '['].includes(open.kind)) {
      throw this.error(open.line, `expected ':' or '{' after '${name.text}', got ${show(open)}`);
    }
    if (!this.skip('[')) return { values: [this.value(depth)], isList: false };
    const values: RawValue[] = [];
    if (this.skip(']')) return { values, isList: true };
    do {
      const item = this.value(depth);
      if (!hasColon && item.kind !== 'message') {
        throw this.error(open.line, `expected ':' after '${name.text}': only messages do without`);
      }
      values.push(item);
    } while (this.skip(','));
    if (!this.skip(']')) throw this.error(this.peek().line, `expected ',' or ']', got ${show(this.peek())}`);
    return { values, isList: true };
  }

  private value(depth: number): RawValue {
    const token = this.next();
    const { line } = token;
    if (token.kind === '{') return this.message('}', line, depth + 1);
    if (token.kind === '<') return this.message('>', line, depth + 1);
    if (token.kind === 'string') return this.string(token);
    if (token.kind === 'number' || token.kind === 'word') return { kind: token.kind, line, text: token.text };
    if (token.kind === '-') return this.negative(line);
    throw this.error(line, `expected a value, got ${show(token)}`);
  }

  /** Strings that stand beside each other are one. */
  private string(first: Token): RawScalar {
    let { text } = first;
    while (this.peek().kind === 'string') text += this.next().text;
    return { kind: 'string', line: first.line, text };
  }

  private negative(line: number): RawScalar {
    const token = this.next();
    const isNumber = token.kind === 'number' || (token.kind === 'word' && /^(inf|infinity|nan)$/i.test(token.text));
    if (!isNumber) throw this.error(line, `expected a number after '-', got ${show(token)}`);
    return { kind: token.kind, line, text: `-${token.text}` };
  }

  private skip(kind: string): boolean {
    if (this.peek().kind !== kind) return false;
    this.at += 1;
    return true;
  }

  private peek(): Token {
    return this.tokens[Math.min(this.at, this.tokens.length - 1)]!;
  }

  private next(): Token {
    const token = this.peek();
    this.at += 1;
    return token;
  }

  private error(line: number, message: string): SpecError {
    return new SpecError('MODEL_CONFIGURATION_SYNTAX', `${this.file}:${line}`, message);
  }
}

function show({ kind, text }: Token): string {
  return kind === 'end' ? 'the end of the file' : `'${text.slice(0, 40)}'`;
}
