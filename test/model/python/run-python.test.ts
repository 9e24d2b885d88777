import { mkdtempSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import { afterAll, expect, test, type TestContext } from 'vitest';
import { runChild } from '../../../runtime/model/python/run-child';
import { pythonFolder, type PythonSet } from '../../../runtime/model/python/python-sets';
import { pythonProcessEnvironment } from '../../../runtime/model/python/process-environment';
import { runPython } from '../../../runtime/model/python/run-python';
import { refusalOf } from '../../support/model-tool-refusal';
import { toolOnPath } from '../../support/tools';

const folder = mkdtempSync(join(tmpdir(), 'slipway-run-python-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nothing: PythonSet = { name: 'nothing', requirements: [], minimums: {}, versions: ['3.8', '3.99'] };
let count = 0;

/** A tool of this test. The name leads from the folder of the tools to the file. */
function tool(body: string): string {
  const file = join(folder, `tool_${++count}`);
  writeFileSync(`${file}.py`, body);
  return join('../'.repeat(pythonFolder().split('/').length), file);
}

function run(context: TestContext, body: string, request: unknown = {}, options: Parameters<typeof runPython>[3] = {}) {
  const python = toolOnPath('python3');
  if (python === undefined) return context.skip('there is no python3 on the PATH');
  return runPython<any>(nothing, tool(body), request, { python, ...options });
}

test('a tool gets its request and answers, with progress on the way, whatever it prints', async (context) => {
  const said: string[] = [];
  const body = `
import os, sys
from slipway_tool import progress
def run(request):
    print('noise')
    os.system('echo more noise')
    progress('half way')
    return {'sum': sum(request['numbers']), 'text': request['text']}
`;
  const { result, environment } = await run(
    context,
    body,
    { numbers: [1, 2, 3], text: 'å\n"' },
    { progress: (text) => said.push(text) },
  );
  expect(result).toEqual({ sum: 6, text: 'å\n"' });
  expect(said).toEqual(['half way']);
  expect(environment.version).toMatch(/^3\./);
});

test('nothing of the user leads Python elsewhere, and no credentials reach it', async (context) => {
  writeFileSync(join(folder, 'json.py'), 'raise SystemExit("this is not the json of Python")');
  const environment = {
    ...process.env,
    PYTHONPATH: folder,
    PYTHONSTARTUP: join(folder, 'json.py'),
    AWS_SECRET_ACCESS_KEY: 'secret',
    SOME_TOKEN: 'secret',
  };
  const body = `
import os, sys
def run(request):
    return {'path': sys.path, 'names': sorted(os.environ), 'isolated': sys.flags.isolated, 'cwd': os.listdir('.'), 'telemetry': os.environ['ORT_DISABLE_TELEMETRY']}
`;
  const { result } = await run(context, body, {}, { environment });
  expect(result.path).not.toContain(folder);
  expect(result).toMatchObject({ isolated: 1, cwd: [], telemetry: '1' });
  expect(result.names.filter((name: string) => /PYTHON|TOKEN|SECRET|AWS/.test(name))).toEqual([]);
});

test('what a tool refuses arrives as it said it', async (context) => {
  const refuse = (code: string): string => `
from slipway_tool import ToolError
def run(request):
    raise ToolError('${code}', 'net.pt', 'is no network')
`;
  const refusal = await refusalOf(run(context, refuse('OUTPUT_EXISTS')));
  expect([refusal.code, refusal.where, refusal.kind]).toEqual(['OUTPUT_EXISTS', 'net.pt', 'input']);
  expect((await refusalOf(run(context, refuse('NO_SUCH_CODE')))).message).toBe(
    'PYTHON_CRASHED net.pt: NO_SUCH_CODE: is no network',
  );
});

test('a full disk is a full disk, whatever a tool takes it for', async (context) => {
  // A file that may have no more than 1000 bytes meets its limit as a disk does.
  const body = (rest: string): string => `
import resource, signal
from slipway_tool import ToolError
def run(request):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        with open('model.onnx', 'wb', buffering=0) as file:
            while True: file.write(bytes(600))
${rest}
`;
  const mistaken = "    except Exception: raise ToolError('SOURCE_UNREADABLE', 'net.pt', 'is no network') from None";
  for (const rest of ['    finally: pass', mistaken]) {
    const refusal = await refusalOf(run(context, body(rest), { output: '/somewhere/out.onnx' }));
    expect(refusal.kind).toBe('outside');
    expect(refusal.message).toBe('OUTPUT_UNWRITABLE out.onnx: cannot be written: File too large');
  }
});

test('a crash shows the last lines', async (context) => {
  const body = `
import sys
def run(request):
    for i in range(100): print('line', i, file=sys.stderr)
    raise RuntimeError('the shapes do not fit')
`;
  const refusal = await refusalOf(run(context, body));
  expect(refusal.code).toBe('PYTHON_CRASHED');
  expect(refusal.message).toContain('ended with exit status 1');
  expect(refusal.message).toContain('RuntimeError: the shapes do not fit');
  expect(refusal.message).not.toContain('line 50');
});

test('a process that dies says how', async (context) => {
  const refusal = await refusalOf(run(context, 'import os\ndef run(request):\n    os.kill(os.getpid(), 9)\n'));
  expect(refusal.message).toContain('was ended by SIGKILL, which is what the system does where memory runs out');
});

const SLEEPERS = `
import os, subprocess, time
from slipway_tool import progress
def run(request):
    child = subprocess.Popen(['sleep', '300'])
    open(request['file'], 'w').write(f'{os.getpid()} {child.pid}')
    progress('asleep')
    time.sleep(300)
`;

test('an abort ends the tool and what it started', async (context) => {
  const controller = new AbortController();
  const file = join(folder, 'pids-abort');
  const running = run(
    context,
    SLEEPERS,
    { file },
    { signal: controller.signal, progress: () => controller.abort(new Error('enough')) },
  );
  await expect(running).rejects.toThrow('enough');
  await expectGone(file);
});

test('a tool that takes too long is ended with what it started', async (context) => {
  const file = join(folder, 'pids-timeout');
  const refusal = await refusalOf(run(context, SLEEPERS, { file }, { timeoutSeconds: 1.5 }));
  expect(refusal.code).toBe('PYTHON_TIMEOUT');
  await expectGone(file);
});

test('a tool ends, with what it started, when whoever waits for it is killed', async (context) => {
  const python = toolOnPath('python3');
  if (python === undefined) return context.skip('there is no python3 on the PATH');
  const file = join(folder, 'pids-orphan');
  const args = ['-I', join(pythonFolder(), 'slipway_tool.py'), tool(SLEEPERS)];
  // A caller that only hands on its standard input and then is killed.
  const caller = spawn(
    process.execPath,
    [
      '-e',
      `const c = require('child_process').spawn(${JSON.stringify(python)}, ${JSON.stringify(args)}, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
       c.stdin.write(${JSON.stringify(JSON.stringify({ file }))} + '\\n'); setInterval(() => {}, 1000);`,
    ],
    { env: pythonProcessEnvironment(process.env), stdio: 'ignore' },
  );
  try {
    await expect
      .poll(() => existsSync(file) && readFileSync(file, 'utf8').includes(' '), { timeout: 20_000 })
      .toBe(true);
  } finally {
    caller.kill('SIGKILL');
  }
  await expectGone(file);
});

test('a line that never ends is not waited for', async () => {
  const program = "const s = 'x'.repeat(1 << 20); const w = () => process.stdout.write(s, w); w();";
  const running = runChild(process.execPath, ['-e', program], { environment: process.env, timeoutSeconds: 50 });
  await expect(running).rejects.toThrow('wrote a line of more than');
});

test('a program that cannot be started is said so by the system', async () => {
  const running = runChild('/nonexistent/program', [], { environment: {}, timeoutSeconds: 5 });
  await expect(running).rejects.toThrow('ENOENT');
});

async function expectGone(file: string): Promise<void> {
  const pids = readFileSync(file, 'utf8').split(' ').map(Number);
  for (let i = 0; i < 100 && pids.some(isAlive); i++) await sleep(50);
  expect(pids.filter(isAlive)).toEqual([]);
}

function isAlive(pid: number): boolean {
  try {
    // A zombie that nobody has collected yet is as good as gone.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
