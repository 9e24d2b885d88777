import { readFileSync } from 'node:fs';
import { isScalar, parseAllDocuments, type Document, type YAMLParseError } from 'yaml';
import { CliError } from './cli-error';

/**
 * What a spec file holds, whatever that is. JSON is YAML.
 * @throws CliError saying where it cannot be read, and what would work.
 */
export function parseSpecFile(file: string): unknown {
  const text = readText(file);
  const refuse = (problem: string): never => {
    throw new CliError(`${file}: ${problem}`);
  };
  const line = lineOfComment(file, text);
  if (line !== undefined)
    refuse(`JSON has no comments, got one at line ${line}; take it out, or write YAML, where they begin with #`);
  const [document, second] = parseAllDocuments(text) as Document.Parsed[];
  const [problem] = document?.errors ?? [];
  if (problem !== undefined) refuse(inOurWords(problem, text));
  if (second !== undefined)
    refuse('must be one service, got several documents between lines of ---; write a file for each');
  if (
    document === undefined ||
    document.contents === null ||
    (isScalar(document.contents) && document.contents.value === null)
  ) {
    refuse('is empty; a service has at least name and models');
  }
  try {
    return document!.toJS();
  } catch (error) {
    // Aliases that are too many are found only here.
    return refuse((error as Error).message);
  }
}

function readText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const said: Readonly<Record<string, string>> = {
      ENOENT: 'does not exist',
      EISDIR: 'is a folder; name the spec file in it',
      EACCES: 'may not be read by this user',
    };
    throw new CliError(`${file}: ${said[code ?? ''] ?? message}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CliError(`${file}: is no text in UTF-8; save it as such`);
  }
}

/** YAML takes `// a comment` for the name of a field, and the message would be about that. */
function lineOfComment(file: string, text: string): number | undefined {
  if (!/\.json$/i.test(file)) return undefined;
  const outside = text.replace(/"(?:\\.|[^"\\\n])*"/g, (string) => ' '.repeat(string.length));
  const at = outside.search(/\/[/*]/);
  return at < 0 ? undefined : lineAt(text, at);
}

/** The parser's own words are for who calls it. */
function inOurWords({ code, message, pos }: YAMLParseError, text: string): string {
  const at = `at line ${lineAt(text, pos[0])}`;
  if (code === 'DUPLICATE_KEY') return `${keyAt(text, pos[0])} is there twice, the second time ${at}; keep one of them`;
  if (code === 'TAB_AS_INDENT') return `has a tab ${at}; YAML is indented with spaces`;
  return message.split('\n')[0]!.replace(/:$/, '');
}

function keyAt(text: string, position: number): string {
  const [, quoted, plain] = /^(?:["'](.*?)["']|([^\s:{}[\],]+))/.exec(text.slice(position)) ?? [];
  return quoted ?? plain ?? 'a field';
}

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}
