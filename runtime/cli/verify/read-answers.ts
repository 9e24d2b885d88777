import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { CliError } from '../cli-error';
import type { Answers } from './verify-options';

/** Reads what clouds answer, from YAML or JSON. @throws CliError saying what the file must hold */
export function readAnswers(file: string | undefined): Answers {
  if (file === undefined) return { resources: {}, functions: {} };
  const refuse = (reason: string): never => {
    throw new CliError(`${file}: ${reason}`);
  };
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return refuse((error as Error).message.split('\n')[0]!);
  }
  const { resources = {}, functions = {}, ...others } = isRecord(content) ? content : { '': '' };
  const isWhole = [resources, functions].every((part) => isRecord(part) && Object.values(part).every(isRecord));
  if (!isWhole || Object.keys(others).length > 0) {
    return refuse('must hold { resources: { <type>: outputs }, functions: { <token>: result } }');
  }
  return { resources, functions } as Answers;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
