import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test, vi, type TestContext } from 'vitest';
import { isBatchable } from '../../../runtime/spec/model-facts';
import { temporaryFolder } from '../../server/harness/model-repository';
import { modelPython } from '../../support/model-python';
import { convert, refused, runProgram } from './support';

// Frameworks take seconds to load, and machines are shared.
vi.setConfig({ testTimeout: 240_000 });

const folder = mkdtempSync(path.join(tmpdir(), 'slipway-convert-torch-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => path.join(folder, name);
const IMAGE = 'image=float32[batch,3,32,32]';

const NETWORKS = `
import torch
from torch import nn

class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.dropout = nn.Dropout(0.5)
        self.classes = nn.Linear(8 * 16 * 16, 10)
    def forward(self, x):
        return self.classes(self.dropout(self.features(x).flatten(1)))

class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 8)
        self.classes = nn.Linear(8, 3)
    def forward(self, ids, mask):
        pooled = (self.words(ids) * mask.unsqueeze(-1)).sum(1)
        return {'logits': self.classes(pooled), 'pooled': pooled}

class Orthogonal(nn.Module):
    def forward(self, x):
        return torch.linalg.qr(x.flatten(2))[0]

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 8)
        self.reader = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
    def forward(self, ids):
        tags, (last, _) = self.reader(self.words(ids))
        return {'tags': tags, 'last': last, 'again': tags, 'ids': ids, 'found': tags[tags > 0], 'nothing': None}

class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x

class Counted(nn.Module):
    def forward(self, x):
        return x, x.shape[1]

class Chance(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x)

class Short(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(4, 2, dtype=torch.bfloat16)
    def forward(self, ids):
        return self.words(ids)

def cnn(): return Cnn()
def tagger(): return Tagger()
def branch(): return Branch()
def counted(): return Counted()
def chance(): return Chance()
def short(): return Short()
def script(): raise SystemExit('usage: net.py WEIGHTS')
def gone(): import os; os._exit(3)
def text(): return Text()
def unknown(): return Orthogonal()
def nothing(): return 7
def broken(): raise ValueError('no such width')
`;

const SAVED = `
import torch
from net import Cnn
torch.manual_seed(1)
network = Cnn().eval()
x = torch.randn(2, 3, 32, 32)
torch.save(network.state_dict(), 'weights.pt')
torch.save({'model_state_dict': network.state_dict(), 'epoch': 3}, 'training.ckpt')
torch.save({'classes.weight': torch.zeros(2, 2)}, 'other.pt')
torch.save(network, 'whole.pt')
from safetensors.torch import save_file
save_file(network.state_dict(), 'weights.safetensors')
torch.export.save(torch.export.export(network, (x,), dynamic_shapes=({0: torch.export.Dim('rows')},)), 'net.pt2')
torch.jit.trace(network, x).save('traced.pt')
open('damaged.pt2', 'wb').write(open('net.pt2', 'rb').read()[:5000])
class Evil:
    def __reduce__(self):
        return (open, ('evil-was-here', 'w'))
torch.save({'classes.weight': Evil()}, 'evil.pt')
`;

async function needTorch(context: TestContext): Promise<void> {
  const { python } = await modelPython(context, 'torch');
  if (existsSync(at('net.py'))) return;
  writeFileSync(at('net.py'), NETWORKS);
  runProgram(python, folder, SAVED);
}

test('a network that a function builds is converted with its weights, compared on three batch sizes, and has its history', async (context) => {
  await needTorch(context);
  const output = path.join(temporaryFolder(), 'cnn.onnx');
  const said: string[] = [];
  const converted = await convert(`${at('net.py')}:cnn`, {
    output,
    weights: at('weights.pt'),
    inputs: [IMAGE],
    outputNames: ['logits'],
    progress: (text) => said.push(text),
  });
  expect(converted).toMatchObject({
    source: { kind: 'PyTorch module' },
    opset: 18,
    inputs: [{ name: 'image', datatype: 'FP32', shape: ['batch', 3, 32, 32] }],
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 10] }],
    tolerance: 0.001,
    cases: [{ batch: 2 }, { batch: 1 }, { batch: 3 }],
  });
  expect(converted.comparison.maxRelative).toBeLessThan(1e-5);
  expect(said).toContain('exporting with torch.onnx');
  const history = JSON.parse(readFileSync(`${output}.provenance.json`, 'utf8'));
  expect(history.source.map((file: { path: string }) => file.path)).toEqual(['weights.pt', 'net.py']);
  expect(history.steps[0].command).toBe(
    'slipway model convert net.py:cnn -o cnn.onnx --input image=float32[batch,3,32,32] --output-name logits --weights weights.pt',
  );
  expect(history.steps[0].tools.torch).toMatch(/^2\./);
  // The same weights in the other format are the same network.
  const again = await convert(`${at('net.py')}:cnn`, {
    weights: at('weights.safetensors'),
    inputs: [IMAGE],
    outputNames: ['logits'],
  });
  expect(again.output.sha256).toBe(converted.output.sha256);
});

test('several inputs and named outputs keep their names, and a second free dimension stays free', async (context) => {
  await needTorch(context);
  const inputs = ['ids=int64[batch,tokens]', 'mask=float32[batch,tokens:9]'];
  const converted = await convert(`${at('net.py')}:text`, { inputs });
  expect(converted.inputs.map(({ shape }) => shape)).toEqual([
    ['batch', 'tokens'],
    ['batch', 'tokens'],
  ]);
  expect(converted.outputs.map(({ name }) => name)).toEqual(['logits', 'pooled']);
});

test('outputs that are the same tensor, or an input, each have one of their own, and what does not count rows is no batch', async (context) => {
  await needTorch(context);
  const converted = await convert(`${at('net.py')}:tagger`, { inputs: ['ids=int64[batch,words]'] });
  expect(converted.outputs.map(({ name, shape }) => [name, shape[0]])).toEqual([
    ['tags', 'batch'],
    ['last', 2],
    ['again', 'batch'],
    ['ids_', 'batch'],
    ['found', expect.stringMatching(/^u\d+$/)],
  ]);
  expect(converted.notes).toContain(
    "'last', 'found' does not count rows (batch) in dimension 0: a server cannot join requests",
  );
});

test('an exported program is converted with the dynamic batch that its author gave it', async (context) => {
  await needTorch(context);
  const converted = await convert(at('net.pt2'));
  expect(converted.source.kind).toBe('torch.export program');
  expect(isBatchable(converted)).toBe(true);
  expect(converted.cases.map(({ batch }) => batch)).toEqual([2, 1, 3]);
});

test('TorchScript is converted', async (context) => {
  await needTorch(context);
  const converted = await convert(at('traced.pt'), { inputs: [IMAGE] });
  expect(converted.source.kind).toBe('TorchScript');
  expect(isBatchable(converted)).toBe(true);
  expect(await refused(at('traced.pt'))).toContain(
    'INPUTS_UNKNOWN --input: a PyTorch network does not say what it takes',
  );
});

test('a pickled network is refused, and converted where it is trusted, in a process of its own', async (context) => {
  await needTorch(context);
  expect(await refused(at('whole.pt'), { inputs: [IMAGE] })).toContain(
    'SOURCE_UNSAFE ' + at('whole.pt') + ': is a pickle of more than weights, and loading one can run any code',
  );
  const { notes } = await convert(at('whole.pt'), { inputs: [IMAGE], trustPickle: true });
  expect(notes[0]).toContain('in a process of its own without your credentials');
});

test('weights that are more than weights do not run', async (context) => {
  await needTorch(context);
  const message = await refused(`${at('net.py')}:cnn`, { weights: at('evil.pt'), inputs: [IMAGE] });
  expect(message).toContain('must hold weights alone');
  expect(existsSync(at('evil-was-here'))).toBe(false);
});

/** Of the `if` that depends on values. */
function branchLine(): number {
  return NETWORKS.split('\n').indexOf('        if x.sum() > 0:') + 1;
}

interface Refused {
  readonly weights?: string;
  readonly inputs?: readonly string[];
  readonly opset?: number;
}

test.for([
  ['weights without a network', 'weights.pt', {}, 'holds weights and no network: convert the code that builds it'],
  ['half an archive', 'damaged.pt2', {}, 'is no whole archive'],
  ['weights of another network', 'net.py:cnn', { weights: 'other.pt' }, 'does not fit the network'],
  ['a function that is not there', 'net.py:cmm', {}, "has no function 'cmm' that builds the network"],
  ['a function that returns no network', 'net.py:nothing', {}, 'must return a torch.nn.Module, got int'],
  ['a function that fails', 'net.py:broken', {}, 'failed: ValueError: no such width'],
  ['a function that ends its process', 'net.py:script', {}, 'failed: SystemExit: usage: net.py WEIGHTS'],
  ['a process that is gone', 'net.py:gone', {}, 'ended with exit status 3, and said nothing'],
  [
    'an operator that ONNX has not',
    'net.py:unknown',
    {},
    'CONVERSION_FAILED net.py: the converter says: No ONNX function found',
  ],
  [
    'a branch by the numbers in a tensor',
    'net.py:branch',
    {},
    `CONVERSION_FAILED net.py: the converter says at net.py:${branchLine()}: the code branches or loops by the numbers`,
  ],
  ['an output that is no tensor', 'net.py:counted', {}, 'the network gives a value of the type int among its tensors'],
  ['a network that draws numbers', 'net.py:chance', {}, 'answers the same rows otherwise when it is asked again'],
  [
    'an output of a type that nobody can send',
    'net.py:short',
    { inputs: ['ids=int64[batch,3]'] },
    "CONVERSION_FAILED model.onnx: what the converter wrote cannot be served: output 'output' is bfloat16",
  ],
  [
    'an opset that the converter does not write',
    'net.py:cnn',
    { opset: 13 },
    'CONVERSION_FAILED --opset: the converter writes opset',
  ],
  [
    'a shape that does not fit',
    'net.py:cnn',
    { inputs: ['x=float32[batch,3,8,8]'] },
    'the network does not take x=float32[batch,3,8,8]',
  ],
] as readonly (readonly [string, string, Refused, string])[])(
  '%s is refused in one sentence',
  async ([, source, options, message], context) => {
    await needTorch(context);
    const weights = options.weights === undefined ? {} : { weights: at(options.weights) };
    const said = await refused(at(source), { inputs: [IMAGE], ...options, ...weights });
    // Which folder it is decides chance.
    expect(said.replace(/ \/\S+\/([\w.]+):/g, ' $1:')).toContain(message);
    expect(said).not.toMatch(/[\n\x1b]/);
  },
);
