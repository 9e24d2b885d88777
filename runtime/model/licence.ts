import { nearest } from '../spec/nearest';
import { PublishError } from './publish-error';
import { SPDX_EXCEPTIONS, SPDX_LICENCES } from './spdx-ids';

const MAX_LENGTH = 1_024;
/** Brackets, words, and nothing else; operators are words in capitals. */
const TOKEN = /\s*([()]|[^\s()]+)/gy;
const OWN_LICENCE = /^(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+$/;

/**
 * Checks an SPDX licence expression: known identifiers, `+`, `WITH` an exception, `AND`, `OR`, brackets, and `LicenseRef-…` for
 * what has no identifier.
 * @returns the expression with its identifiers as the list spells them
 * @throws PublishError LICENCE_INVALID naming what is wrong and the identifier that is nearest
 */
export function checkLicence(expression: string, where: string): string {
  const refuse = (message: string): never => {
    throw new PublishError('LICENCE_INVALID', where, message);
  };
  if (expression.length > MAX_LENGTH) refuse(`must have at most ${MAX_LENGTH} characters, got ${expression.length}`);
  const tokens = [...expression.matchAll(TOKEN)].map((match) => match[1]!);
  const written: string[] = [];
  let at = 0;
  const take = (): string => tokens[at++] ?? refuse(`must be an SPDX expression, '${expression}' ends too early`);

  // One level of recursion for each bracket, and the length bounds those.
  const readAll = (): void => {
    readOne();
    while (tokens[at] === 'AND' || tokens[at] === 'OR') {
      written.push(take());
      readOne();
    }
  };
  const readOne = (): void => {
    const token = take();
    if (token === '(') {
      written.push('(');
      readAll();
      if (take() !== ')') refuse(`must be an SPDX expression, '${expression}' lacks a closing bracket`);
      written.push(')');
      return;
    }
    written.push(licenceOf(token, refuse));
    if (tokens[at] !== 'WITH') return;
    written.push(take(), known(take(), SPDX_EXCEPTIONS, 'exception', refuse));
  };
  readAll();
  if (at < tokens.length) refuse(`must be an SPDX expression, got '${tokens[at]}' where AND, OR or WITH belongs`);
  return written.join(' ').replaceAll('( ', '(').replaceAll(' )', ')');
}

function licenceOf(token: string, refuse: (message: string) => never): string {
  if (OWN_LICENCE.test(token)) return token;
  // Some deprecated identifiers end with a plus themselves.
  const isWhole = SPDX_LICENCES.some((id) => id.toLowerCase() === token.toLowerCase());
  const orLater = token.endsWith('+') && !isWhole;
  return known(orLater ? token.slice(0, -1) : token, SPDX_LICENCES, 'licence', refuse) + (orLater ? '+' : '');
}

function known(token: string, ids: readonly string[], what: string, refuse: (message: string) => never): string {
  const id = ids.find((each) => each.toLowerCase() === token.toLowerCase());
  if (id !== undefined) return id;
  const shown = token.slice(0, 60);
  return refuse(
    `'${shown}' is no SPDX ${what}; did you mean '${nearest(shown, ids)}'? LicenseRef-<name> is for one of your own`,
  );
}
