import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { findSource } from '../../../runtime/model/convert/conversion-source';
import { convertModel } from '../../../runtime/model/convert/convert-model';
import { temporaryFolder } from '../../server/harness/model-repository';
import { refusalOf } from '../../support/model-tool-refusal';
import { zip, type ZipEntry } from '../data/support';

const text = (name: string, content: string): ZipEntry => ({ name, bytes: Buffer.from(content) });

function file(name: string, content: string | Uint8Array): string {
  const place = path.join(temporaryFolder(), name);
  writeFileSync(place, content);
  return place;
}

const archive = (name: string, ...entries: readonly ZipEntry[]) => file(name, zip(entries));
const program = (fields: object) => archive('net.pt2', text('net/models/model.json', JSON.stringify(fields)));

test('a source is known by its name and by what it holds', async () => {
  const script = [text('net/constants.pkl', ''), text('net/code/__torch__.py', '')];
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, 'saved_model.pb'), '');
  const kinds: Record<string, string> = {
    [archive('a.pt', ...script)]: 'torch-script',
    [archive('b.pth', text('net/data.pkl', ''))]: 'torch-pickle',
    [file('old.pt', Buffer.from([0x80, 2]))]: 'torch-pickle',
    [program({})]: 'torch-program',
    [archive('c.keras', text('config.json', '{}'))]: 'keras',
    [file('d.h5', Buffer.from('\x89HDF\r\n', 'latin1'))]: 'keras-h5',
    [folder]: 'saved-model',
    [archive('e.skops', text('schema.json', '{}'))]: 'skops',
    [file('f.pkl', '')]: 'sklearn-pickle',
    [`${file('net.py', '')}:build`]: 'torch-factory',
  };
  for (const [source, kind] of Object.entries(kinds)) expect((await findSource(source)).kind).toBe(kind);
});

test.each([
  ['nothing', '/nonexistent/net.pt', 'SOURCE_UNREADABLE', 'does not exist'],
  ['a name that says nothing', () => file('net.bin', ''), 'SOURCE_UNKNOWN', 'known are net.py:build'],
  [
    'a Python file without a function',
    () => file('net.py', ''),
    'SOURCE_UNKNOWN',
    'which function builds the network?',
  ],
  ['a folder that is no SavedModel', () => temporaryFolder(), 'SOURCE_UNKNOWN', 'without saved_model.pb'],
  [
    'half an archive',
    () => file('net.keras', zip([text('a', 'b')]).subarray(0, 30)),
    'SOURCE_UNREADABLE',
    'is no whole archive',
  ],
  ['text called .h5', () => file('net.h5', 'text'), 'SOURCE_UNREADABLE', 'is not an HDF5 file'],
  ['text called .pt', () => file('net.pt', 'text'), 'SOURCE_UNREADABLE', 'is not a file of torch.save'],
])('%s is refused', async (_, source, code, message) => {
  const refusal = await refusalOf(findSource(typeof source === 'string' ? source : source()));
  expect(refusal.code).toBe(code);
  expect(refusal.message).toContain(message);
});

test.each(['../config.json', '/etc/passwd', 'a/../../b', 'a\\..\\b', 'C:/x'])(
  'an archive with the name %s is refused',
  async (name) => {
    for (const kind of ['net.keras', 'net.pt', 'net.pt2', 'model.skops']) {
      const refusal = await refusalOf(findSource(archive(kind, text('ok', ''), text(name, ''))));
      expect([refusal.code, kind]).toEqual(['SOURCE_UNSAFE', kind]);
      expect(refusal.message).toContain('leads out of the archive');
    }
  },
);

test('an archive with a link, or with one name twice, is refused', async () => {
  const bytes = zip([text('link', '/etc/passwd')]);
  // The high half of the attributes at byte 38 of the central directory is a mode of Unix.
  bytes.writeUInt32LE(0o120777 * 0x10000, bytes.indexOf('PK\x01\x02') + 38);
  expect((await refusalOf(findSource(file('net.keras', bytes)))).message).toContain('holds a link');
  expect((await refusalOf(findSource(archive('net.keras', text('a', ''), text('a', ''))))).message).toContain('twice');
});

test('an archive that would unpack to a thousand times of itself is refused before anything unpacks it', async () => {
  const bomb = { name: 'model.weights.h5', bytes: Buffer.alloc(100 * 2 ** 20), isDeflated: true };
  const refusal = await refusalOf(findSource(archive('net.keras', bomb)));
  expect(refusal.code).toBe('SOURCE_TOO_LARGE');
  expect(refusal.message).toContain('would unpack to more than 100 times of that');
  const claim = { name: 'config.json', bytes: Buffer.from('{}'), claimedBytes: 0xfffffff0, isDeflated: true };
  expect((await refusalOf(findSource(archive('net.keras', claim)))).code).toBe('SOURCE_TOO_LARGE');
});

test('an exported program may hold sizes and operators, and nothing else that Python would evaluate', async () => {
  const harmless = {
    range_constraints: { s77: { min_val: 2 } },
    guards_code: ["L['x'].size()[0] % 8 == 0"],
    graph: {
      nodes: [{ target: 'torch.ops.aten.conv2d.default' }, { target: '_operator.mul' }, { target: 'torch.sym_min' }],
      sizes: [{ expr_str: "Symbol('s77', positive=True, integer=True)" }, { expr_str: 'Max(1, (s0 + 1)//2)' }],
    },
  };
  expect((await findSource(program(harmless))).kind).toBe('torch-program');
  const evil: readonly [object, string][] = [
    [{ expr_str: "__import__('os').system('id')" }, 'would evaluate it'],
    [{ a: [{ b: { expr_str: 'exec(s0)' } }] }, 'would evaluate it'],
    [{ expr_str: 's0.__class__' }, 'would evaluate it'],
    [{ expr_str: '(lambda: 1)()' }, 'would evaluate it'],
    [{ expr_str: 7 }, 'would evaluate it'],
    [{ guards_code: ["L['x'].size()[0].__class__"] }, 'would evaluate it'],
    [{ range_constraints: { 'open(s0)': {} } }, 'would evaluate it'],
    [{ nodes: [{ target: 'torch.serialization.os.system' }] }, 'is no operator of PyTorch'],
    [{ nodes: [{ target: 'torch.ops.__class__.mro' }] }, 'is no operator of PyTorch'],
    [{ as_operator: '_operator.methodcaller' }, 'is no operator of PyTorch'],
  ];
  for (const [fields, message] of evil) {
    const refusal = await refusalOf(findSource(program(fields)));
    expect(refusal.code).toBe('SOURCE_UNSAFE');
    expect(refusal.message).toContain(message);
  }
  const compiled = archive('net.pt2', text('net/models/model.json', '{}'), text('net/data/aotinductor/model/a.so', ''));
  expect((await refusalOf(findSource(compiled))).message).toContain('holds compiled code');
  expect((await refusalOf(findSource(archive('net.pt2', text('a', ''))))).message).toContain(
    'holds no exported program',
  );
  const broken = archive('net.pt2', text('net/models/model.json', '{'));
  expect((await refusalOf(findSource(broken))).message).toContain('its program is damaged');
});

test('what makes no sense is refused before Python is looked for', async () => {
  const source = `${file('net.py', '')}:build`;
  const output = path.join(temporaryFolder(), 'out.onnx');
  // There is no Python here, so getting to it would fail otherwise.
  const convert = (options: object) =>
    refusalOf(convertModel({ source, output, environment: { PATH: '' }, ...options }));
  expect((await convert({ source: file('m.pkl', '') })).message).toContain('SOURCE_UNSAFE');
  expect((await convert({ source: file('m.joblib', '') })).message).toContain('or say --trust-pickle if you made it');
  expect((await convert({ opset: 3 })).message).toContain('must be a whole number from 13 to 23, got 3');
  expect((await convert({ tolerance: -1 })).message).toContain('--tolerance: must be a number from 0 up, got -1');
  expect((await convert({ signature: 'x' })).message).toContain('is of a SavedModel alone');
  expect((await convert({ weights: '/nonexistent' })).message).toContain('does not exist, or is no file');
  expect((await convert({ source: program({}), weights: '/x' })).message).toContain('is for a factory');
  expect((await convert({ samples: file('s.npz', zip([text('../x.npy', '')])) })).code).toBe('DATA_UNSAFE');
  expect((await convert({})).code).toBe('PYTHON_MISSING');
  mkdirSync(output);
  expect((await convert({})).code).toBe('OUTPUT_EXISTS');
});
