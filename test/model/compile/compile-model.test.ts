import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chooseCompiled } from '../../../runtime/server/compiled-model';
import {
  folderOfTarget,
  parseTarget,
  targetOfThisMachine,
  type CompiledTarget,
} from '../../../runtime/onnx/compiled-target';
import { compileModel, worthwhile, type CompileReport } from '../../../runtime/model/compile/compile-model';
import { publishModel } from '../../../runtime/model/publish-model';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { slipway } from '../../cli/terminal';
import { floats, startServer } from '../../server/harness/running-server';
import { buildModel, floatTensor, int64Tensor, node, value } from '../../support/onnx-models';
import { temporaryFolder } from '../../server/harness/model-repository';

const DIGITS = path.join(__dirname, '../../../models/digits/model.onnx');
let folder: string;
let report: CompileReport;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-compile-'));
  const made = path.join(folder, 'digits');
  report = await compileModel({ source: DIGITS, output: made, batchSizes: [1, 4], count: 4 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the model is packed for this processor, and the portable one lies beside it', () => {
  const portable = readOnnxModel(path.join(report.folder, 'model.onnx'));
  expect(portable.files.map((file) => file.path)).toEqual(['model.onnx', 'model.onnx.data']);
  expect(report.target).toMatchObject({
    modelSha256: portable.files[0]!.sha256,
    onnxRuntime: '1.30.0',
    platform: `${process.platform}-${process.arch}`,
  });
  expect(report.compiled).toBe(path.join(report.folder, folderOfTarget(report.target)));
  expect(parseTarget(readFileSync(path.join(report.compiled, 'target.json'), 'utf8'))).toEqual(report.target);
  expect(existsSync(path.join(report.compiled, 'model.onnx'))).toBe(true);
  expect(report.comparison.maxRelative).toBeLessThan(1e-4);
  expect(report.speeds.map(({ batchSize }) => batchSize)).toEqual([1, 4]);
  expect(report.allowedBatchSizes[0]).toBe(1);
  expect(existsSync(path.join(report.folder, 'model.onnx.provenance.json'))).toBe(true);
});

test('what cannot be loaded, or not be kept, is told by its own name, and leaves nothing', async () => {
  const place = temporaryFolder();
  const [unknown, sparse] = [path.join(place, 'unknown.onnx'), path.join(place, 'sparse.onnx')];
  const io = { input: [value('x', 'FP32', ['batch', 8])], output: [value('y', 'FP32', ['batch', 8])] };
  writeFileSync(unknown, buildModel({ node: [node('Magic', ['x'], ['y'], [], 'my.own')], ...io }));
  const values = floatTensor('w', [1], [1]);
  const sparseInitializer = [{ values, indices: int64Tensor('places', [1], [0n]), dims: [8n, 8n] }];
  writeFileSync(sparse, buildModel({ node: [node('MatMul', ['x', 'w'], ['y'])], sparseInitializer, ...io }));
  const said = async (source: string): Promise<string> => {
    const { status, stderr } = await slipway('model', 'compile', source, '-o', path.join(place, 'out'));
    expect(status).toBe(3);
    return stderr.trim().split('\n').at(-1)!;
  };
  expect(await said(unknown)).toMatch(/^error: MODEL_NOT_LOADED \S+unknown\.onnx: ONNX Runtime/);
  const ofSparse = await said(sparse);
  expect(ofSparse).toMatch(/^error: MODEL_RUN_FAILED \S+out: what was made does not run, and was not written: /);
  expect(ofSparse).not.toMatch(/\.out\.|onnxruntime_src/);
  expect(readdirSync(place).sort()).toEqual(['sparse.onnx', 'unknown.onnx']);
});

test('a target changes with the model, the version of ONNX Runtime and the processor, and with nothing else', () => {
  const flags = ['fpu', 'avx2', 'avx512f'];
  const target = (given: Partial<CompiledTarget>, own: readonly string[] = flags): string => {
    const cpuinfo = path.join(folder, 'cpuinfo');
    writeFileSync(cpuinfo, `processor\t: 0\nflags\t\t: ${own.join(' ')}\n`);
    return folderOfTarget({ ...targetOfThisMachine({ modelSha256: 'a', onnxRuntime: '1.30.0' }, cpuinfo)!, ...given });
  };
  expect(target({}, ['avx512f', 'avx2', 'hypervisor'])).toBe(target({}));
  const others = [
    target({ modelSha256: 'b' }),
    target({ onnxRuntime: '1.31.0' }),
    target({ platform: 'linux-arm64' }),
    target({}, ['avx2']),
    target({}, [...flags, 'avx512_vnni']),
  ];
  expect(new Set([target({}), ...others]).size).toBe(6);
  const nowhere = path.join(folder, 'nowhere');
  expect(targetOfThisMachine({ modelSha256: 'a', onnxRuntime: '1.30.0' }, nowhere)).toBeUndefined();
  for (const text of ['', '[]', '{}', '{"modelSha256":1}']) expect(parseTarget(text)).toBeUndefined();
});

test('what was compiled for another machine is not even downloaded', () => {
  const sha256 = 'a'.repeat(64);
  const own = folderOfTarget(targetOfThisMachine({ modelSha256: sha256, onnxRuntime: '1.30.0' })!);
  const other = 'compiled/0123456789abcdef';
  const version = ['model.onnx', 'config.json', `${other}/model.onnx`];
  const files = (...names: readonly string[]) => names.map((name) => ({ path: name, sha256 }));
  const chosen = (...names: readonly string[]) => {
    const { files: kept, compiled } = chooseCompiled(files(...names), 'model.onnx', '1.30.0');
    return { kept: kept.map((file) => file.path), compiled };
  };
  expect(chosen(...version)).toEqual({ kept: ['model.onnx', 'config.json'], compiled: undefined });
  expect(chosen(...version, `${own}/model.onnx`, `${own}/model.onnx.data`)).toEqual({
    kept: ['model.onnx', 'config.json', `${own}/model.onnx`, `${own}/model.onnx.data`],
    compiled: `${own}/model.onnx`,
  });
  // Cut short, or of a model whose digest nobody knows.
  expect(chosen(...version, `${own}/model.onnx.data`).compiled).toBeUndefined();
  const unknown = files('model.onnx', `${own}/model.onnx`).map((file) => ({ path: file.path }));
  expect(chooseCompiled(unknown, 'model.onnx', '1.30.0')).toEqual({ files: [{ path: 'model.onnx' }] });
});

async function answerOf(
  repository: string,
): Promise<{ probabilities: readonly number[]; compiled: unknown; warnings: number }> {
  const { infer, log } = await startServer({ modelRepository: repository });
  const image = Array.from({ length: 64 }, (_, i) => i % 17);
  const { json } = await infer('digits', floats('image', [1, 1, 8, 8], image));
  return {
    probabilities: (json as { outputs: { data: number[] }[] }).outputs[0]!.data,
    compiled: log.find(({ msg }) => msg === 'session opened')?.['compiled'],
    warnings: log.filter(({ msg }) => msg.startsWith('what was compiled cannot be opened')).length,
  };
}

test('a server opens what was compiled for it, and answers as with the portable model', async () => {
  const [compiled, plain] = [temporaryFolder(), temporaryFolder()];
  const { manifest } = await publishModel({
    source: path.join(report.folder, 'model.onnx'),
    name: 'digits',
    repository: compiled,
  });
  await publishModel({ source: DIGITS, name: 'digits', repository: plain });
  const names = manifest.files.map((file) => file.path);
  expect(names).toContain(`${folderOfTarget(report.target)}/model.onnx`);
  const [fast, portable] = [await answerOf(compiled), await answerOf(plain)];
  expect([fast.compiled, portable.compiled]).toEqual([true, false]);
  fast.probabilities.forEach((value, i) => expect(value).toBeCloseTo(portable.probabilities[i]!, 5));
});

test('where what was compiled cannot be opened, the portable model is taken and the log says why', async () => {
  const repository = temporaryFolder();
  const broken = path.join(temporaryFolder(), 'broken');
  const { compiled } = await compileModel({ source: DIGITS, output: broken, batchSizes: [1], count: 2 });
  truncateSync(path.join(compiled, 'model.onnx'), 100);
  await publishModel({ source: path.join(broken, 'model.onnx'), name: 'digits', repository });
  const { compiled: isCompiled, warnings, probabilities } = await answerOf(repository);
  expect({ isCompiled, warnings }).toEqual({ isCompiled: false, warnings: 1 });
  expect(probabilities).toHaveLength(10);
});

test('what was compiled from another model is refused when it is published', async () => {
  const stale = path.join(temporaryFolder(), 'stale');
  const { compiled } = await compileModel({ source: DIGITS, output: stale, batchSizes: [1], count: 2 });
  const file = path.join(compiled, 'target.json');
  writeFileSync(file, JSON.stringify({ ...report.target, modelSha256: 'b'.repeat(64) }));
  const source = path.join(stale, 'model.onnx');
  await expect(publishModel({ source, name: 'digits', repository: temporaryFolder() })).rejects.toMatchObject({
    code: 'COMPILED_STALE',
  });
  writeFileSync(file, 'no target');
  await expect(publishModel({ source, name: 'digits', repository: temporaryFolder() })).rejects.toMatchObject({
    code: 'FILE_UNREADABLE',
  });
  renameSync(path.join(stale, 'compiled'), path.join(stale, 'elsewhere'));
  expect((await publishModel({ source, name: 'digits', repository: temporaryFolder() })).manifest.files).toBeDefined();
});

test('batch sizes are worthwhile when they do more rows per second', () => {
  const speeds = [100, 105, 130, 131, 200].map((rowsPerSecond, i) => ({ batchSize: 2 ** i, rowsPerSecond }));
  expect(worthwhile(speeds)).toEqual([1, 4, 16]);
});

test('the command prints what it made, and refuses targets that it cannot build', async () => {
  const output = path.join(folder, 'by-hand');
  const { status, stdout } = await slipway('model', 'compile', DIGITS, '-o', output);
  expect(status).toBe(0);
  expect(stdout).toMatch(/opens in +[\d.]+ ms, its source in [\d.]+ ms/);
  expect(await slipway('model', 'compile', DIGITS, '-o', output)).toMatchObject({ status: 3 });
  expect(await slipway('model', 'compile', DIGITS, '-o', path.join(folder, 'gpu'), '--target', 'cuda')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('has not been tried') as string,
  });
});
