import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { shellWord } from '../../runtime/cli/quickstart/shell-word';

test.each(['.slipway/deploy/cdk', 'two words', "it's", 'a$HOME`b`"c"\\d', 'Ördner #1 100%', '*'])(
  'a shell reads the printed form of %s as that one word',
  (text) => {
    expect(execFileSync('sh', ['-c', `printf '%s\\n' ${shellWord(text)}`], { encoding: 'utf8' })).toBe(`${text}\n`);
  },
);
