// Runs commands as a person would type them, and shows them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';

const PACKAGE = path.dirname(createRequire(import.meta.url).resolve('slipway/package.json'));
/** The command of the package. */
export const SLIPWAY = path.join(PACKAGE, 'dist/runtime/cli/bin.js');

/**
 * `slipway …`; an object at the end may say which exit statuses are expected beside 0.
 * @returns exit status and what was printed
 */
export function slipway(...words) {
  const options = typeof words.at(-1) === 'object' ? words.pop() : {};
  return run(process.execPath, [SLIPWAY, ...words], `slipway ${words.join(' ')}`, options);
}

/** A Python program. One thread: those of small networks wait for each other longer than they compute. */
export function runProgram(interpreter, words) {
  return run(interpreter, words, `python ${words.join(' ')}`, {});
}

async function run(program, words, shown, { expected = [] }) {
  console.error(`$ ${shown}`);
  const child = spawn(program, words, {
    env: { OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1', ...process.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
    process.stderr.write(text);
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
    process.stderr.write(text);
  });
  const [status] = await once(child, 'close');
  if (status === 0 || expected.includes(status)) return { status, out, err };
  throw new Error(`${shown}: exit status ${status}\n${err}`);
}
