import { expect, test } from 'vitest';
import { formatCommand, runCommand } from '../../runtime/image/run-command';

const node = (script: string) => ({ program: process.execPath, args: ['-e', script] });

test('returns standard output alone, and logs both streams line by line', async () => {
  const logged: string[] = [];
  const output = await runCommand(node('console.log("digest"); console.error("progress")'), {
    timeoutSeconds: 30,
    log: (line) => logged.push(line),
  });
  expect(output).toBe('digest\n');
  expect(logged.sort()).toEqual(['digest', 'progress']);
});

test('a failure names the command, its exit code and the last lines it wrote', async () => {
  const failing = node('for (let i = 1; i <= 20; i += 1) console.error(`line ${i}`); process.exitCode = 3');
  const error = await runCommand(failing, { timeoutSeconds: 30 }).catch((caught: Error) => caught);
  expect(String(error)).toContain('ended with exit code 3\nline 9\n');
  expect(String(error)).toMatch(/line 20$/);
});

test('a program that is not there is said to be missing', async () => {
  await expect(runCommand({ program: 'no-such-tool', args: [] }, { timeoutSeconds: 30 })).rejects.toThrow(
    'COMMAND_FAILED no-such-tool: is not on the PATH',
  );
});

test('past its limit a program is stopped, and what it started and holds its pipes is not waited for', async () => {
  const script = `
    const options = { stdio: ['ignore', 'inherit', 'inherit'] };
    const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1_000)'], options);
    console.log(child.pid);
    setInterval(() => {}, 1_000);`;
  const logged: string[] = [];
  const run = runCommand(node(script), { timeoutSeconds: 1, log: (line) => logged.push(line) });
  await expect(run).rejects.toThrow('was stopped by SIGKILL (its limit is 1 seconds)');
  const survivor = Number(logged[0]);
  expect(process.kill(survivor, 0)).toBe(true);
  process.kill(survivor, 'SIGKILL');
});

test('a command is printed so that it can be pasted', () => {
  expect(formatCommand({ program: 'docker', args: ['build', '--build-arg', "A=it's", '/a b'] })).toBe(
    "docker build --build-arg 'A=it'\\''s' '/a b'",
  );
});
