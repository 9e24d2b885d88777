import { describe, expect, test } from 'vitest';
import { slipway } from './terminal';

const MISTAKES: readonly (readonly [commandLine: string, message: string])[] = [
  ['srve', "no command 'srve', the nearest one is slipway serve; slipway --help lists them all"],
  ['deploy service.yaml', "no command 'deploy'; slipway --help lists them all"],
  ['modle inspect', "no command 'modle', the nearest one is slipway model inspect; slipway --help lists them all"],
  ['model inspct', "no command 'model inspct', the nearest one is slipway model inspect"],
  ['image', 'slipway image: which one? slipway image build, slipway image pin, slipway image push'],
  ['--json plan', 'no flag --json before a command; slipway --help lists the commands'],
  ['plan service.yaml --jsno', 'slipway plan: no flag --jsno, the nearest one is --json'],
  ['plan', 'slipway plan: <spec file> is missing: an InferenceServiceSpec as YAML or JSON'],
  ['plan one.yaml two.yaml', "slipway plan: unexpected argument 'two.yaml'"],
  ['serve --htp-port 9000', 'slipway serve: no flag --htp-port, the nearest one is --http-port'],
  ['conformance', 'slipway conformance: <url> is missing: a server to ask, or --write-models'],
  ['conformance localhost:8080', "slipway conformance: a server is an http:// or https:// URL, got 'localhost:8080'"],
  ['conformance http://127.0.0.1:1 --header key', "slipway conformance: --header must be 'name: value', got 'key'"],
  ['key', 'slipway key: which one? slipway key create'],
  [
    'key create',
    'slipway key create: <name> is missing: whose key it is: its name in the log, and the tenant of its requests',
  ],
  ['key create ci --group all', "slipway key create: --group must be one of infer, metadata, admin, got 'all'"],
  ['serve --http-port', "slipway serve: Option '--http-port <value>' argument missing"],
  ['serve models', "slipway serve: unexpected argument 'models'"],
  ['image build --variant gpu', "--variant must be cpu or cuda, got 'gpu'"],
  ['image pin --tool nerdctl', "--tool must be docker, podman, buildah, got 'nerdctl'"],
];

describe('a command line that means nothing ends with status 2 and one line', () => {
  test.each(MISTAKES)('slipway %s', async (commandLine, message) => {
    expect(await slipway(...commandLine.split(' '))).toEqual({ status: 2, stdout: '', stderr: `error: ${message}\n` });
  });
});

test.each(['--help', '-h'])('slipway model %s lists the commands below it', async (flag) => {
  const { status, stdout } = await slipway('model', flag);
  expect(status).toBe(0);
  expect(stdout).toContain('  model inspect  ');
  expect(stdout).toContain('  model publish  ');
  expect(stdout).not.toContain('  serve ');
});

test('slipway help and a command says what the command says of itself', async () => {
  for (const words of [['model', 'publish'], ['plan'], ['model']]) {
    expect(await slipway('help', ...words)).toEqual(await slipway(...words, '--help'));
  }
  expect(await slipway('help', 'pln')).toMatchObject({ status: 2, stdout: '' });
});

test('what a student may lose is said as other commands say it', async () => {
  const distil = (most: string) =>
    slipway('model', 'distil', 'no.onnx', 'net.py:build', '--data=d', '--validation=v', '-o', 's', '--max-drop', most);
  expect(await distil('a lot')).toMatchObject({
    status: 2,
    stderr: "error: slipway model distil: --max-drop must be a share, as in 98% or 0.98, got 'a lot'\n",
  });
  for (const most of ['0.01', '1%']) {
    expect(await distil(most)).toMatchObject({ status: 3, stderr: expect.stringContaining('no.onnx') as string });
  }
});

test('a required argument that is missing is named with what it is for', async () => {
  const { status, stderr } = await slipway('model', 'publish', 'model.onnx');
  expect(status).toBe(2);
  expect(stderr).toBe(
    'error: slipway model publish: <model repository> is missing: a directory, s3://bucket/prefix, gs://, oss://, cos://, az://account/container/prefix or oci://registry/repository\n',
  );
});

test('a required flag that is missing is named with what it is for', async () => {
  const { status, stderr } = await slipway('canary', 'judge', '--prometheus-url', 'http://127.0.0.1:1');
  expect(status).toBe(2);
  expect(stderr).toBe('error: slipway canary judge: --namespace is missing: label `namespace` of both tracks\n');
});

test('what a command cannot do is one line and status 1', async () => {
  expect(await slipway('image', 'push', 'registry.example/slipway:tag')).toEqual({
    status: 1,
    stdout: '',
    stderr:
      "error: ARGUMENT_INVALID image repository: must be <registry>/<name> in lower case, without tag, digest or scheme, got 'registry.example/slipway:tag'\n",
  });
});

test('a server that nobody is at is one line, and not a server that breaks every rule', async () => {
  const { status, stdout, stderr } = await slipway('conformance', 'http://127.0.0.1:1', '--json');
  expect({ status, stdout }).toEqual({ status: 6, stdout: '' });
  expect(stderr).toMatch(/^error: http:\/\/127\.0\.0\.1:1: nobody answers: .*ECONNREFUSED.*\n$/);
});
