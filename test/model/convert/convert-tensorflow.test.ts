import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test, vi, type TestContext } from 'vitest';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { temporaryFolder } from '../../server/harness/model-repository';
import { modelPython } from '../../support/model-python';
import { convert, refused, runProgram } from './support';

// Frameworks take seconds to load, and machines are shared.
vi.setConfig({ testTimeout: 240_000 });

const folder = mkdtempSync(path.join(tmpdir(), 'slipway-convert-tensorflow-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => path.join(folder, name);

const KERAS_3 = `
import h5py, keras, json, numpy, tensorflow as tf, zipfile
layers = keras.layers
network = keras.Sequential([
    layers.Input((32, 32, 3), name='image'), layers.Conv2D(8, 3, activation='relu', padding='same'), layers.BatchNormalization(),
    layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.3), layers.Dense(10, activation='softmax', name='classes')])
network.save('three.keras')
network.save('three.h5')
network.export('three-saved', verbose=False)
network.save_weights('only.weights.h5')
a, b = keras.Input((4,), name='a'), keras.Input((6,), name='b')
one = layers.Dense(3, name='one')(layers.Concatenate()([a, b]))
keras.Model([a, b], {'one': one, 'two': layers.Dense(2, name='two')(one)}).save('many.keras')
keras.Sequential([layers.Input((4,)), layers.Lambda(lambda x: x * 2)]).save('lambda.keras')

class Python(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def serve(self, x):
        return {'y': tf.numpy_function(lambda v: v, [x], tf.float32)}
module = Python()
tf.saved_model.save(module, 'python-saved', signatures={'serving_default': module.serve})

class Reader(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def serve(self, x):
        return {'y': x, 'secret': tf.io.read_file('/etc/hostname')}
reader = Reader()
tf.saved_model.save(reader, 'reader-saved', signatures={'other': reader.serve})

numbers = layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 16.0])
words = layers.StringLookup(vocabulary=['oslo', 'lima'])
number, word = keras.Input((4,), name='number'), keras.Input((1,), name='word', dtype='string')
known = layers.Flatten()(layers.Embedding(3, 2)(words(word)))
both = layers.Dense(5, activation='gelu', name='both')(layers.Concatenate()([numbers(number), known]))
records = keras.Model({'word': word, 'number': number}, both)
records.save('records.keras')
numpy.savez('records.npz', number=numpy.random.rand(5, 4).astype('float32'), word=numpy.array([['oslo'], ['rome'], ['lima'], [''], ['oslo']]))
text = layers.TextVectorization(vocabulary=['good', 'bad'], output_sequence_length=3)
keras.Sequential([keras.Input((1,), dtype='string', name='text'), text]).save('text.keras')

@keras.saving.register_keras_serializable('own')
class Twice(layers.Layer):
    def call(self, x):
        return x * 2
keras.Sequential([layers.Input((4,)), Twice()]).save('own.keras')

class Loose(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec(None, tf.float32)])
    def serve(self, b, a):
        return {'b': b, 'a': a * 2}
loose = Loose()
tf.saved_model.save(loose, 'loose-saved', signatures={'serving_default': loose.serve})

# The same network, whose configuration wants a class from elsewhere; and weights that are elsewhere, or without end.
with zipfile.ZipFile('three.keras') as source, zipfile.ZipFile('stranger.keras', 'w') as target:
    for name in source.namelist():
        data = source.read(name)
        if name == 'config.json':
            config = json.loads(data)
            config['config']['layers'][1]['module'] = 'subprocess'
            data = json.dumps(config)
        target.writestr(name, data)
for name in ('outside', 'bomb'):
    with h5py.File(f'{name}.h5', 'w') as file:
        file.attrs['model_config'] = '{}'
        file.attrs['keras_version'] = '3.0.0'
        if name == 'outside':
            file['weights'] = h5py.ExternalLink('/etc/passwd', '/x')
        else:
            file.create_dataset('weights', shape=(2**40,), dtype='f4', chunks=(2**20,), compression='gzip')
`;

const KERAS_2 = `
import os
os.environ['TF_USE_LEGACY_KERAS'] = '1'
import numpy, tf_keras as keras, tensorflow_model_optimization as tfmot
layers = keras.layers
numpy.random.seed(0)
rows = numpy.random.rand(64, 32, 32, 3).astype('float32')
classes = numpy.random.randint(0, 10, 64)
def build():
    return keras.Sequential([
        layers.Input((32, 32, 3), name='image'), layers.Conv2D(8, 3, activation='relu', padding='same'), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dense(10, name='classes')])
def fit(network, *callbacks):
    network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer='adam')
    network.fit(rows, classes, verbose=0, callbacks=list(callbacks))
build().save('two.keras')
build().save('two-saved')
quantized = tfmot.quantization.keras.quantize_model(build())
fit(quantized)
quantized.save('quantized.h5')
quantized.save('quantized.keras')
pruned = tfmot.sparsity.keras.prune_low_magnitude(build(), tfmot.sparsity.keras.ConstantSparsity(0.5, 0, frequency=1))
fit(pruned, tfmot.sparsity.keras.UpdatePruningStep())
pruned.save('pruned.h5')
numpy.savez('text.npz', text=numpy.array([['good']]))
numpy.savez('rows.npz', image=rows)
`;

async function needTensorflow(context: TestContext): Promise<void> {
  const { python } = await modelPython(context, 'tensorflow');
  if (existsSync(at('rows.npz'))) return;
  runProgram(python, folder, KERAS_3);
  runProgram(python, folder, KERAS_2);
}

const IMAGE = [{ name: 'image', datatype: 'FP32', shape: ['batch', 32, 32, 3] }];

test('networks of Keras 3 are converted, whole files and SavedModel alike', async (context) => {
  await needTensorflow(context);
  for (const source of ['three.keras', 'three.h5']) {
    const converted = await convert(at(source));
    expect(converted).toMatchObject({
      source: { kind: 'Keras 3' },
      inputs: IMAGE,
      outputs: [{ name: 'classes', datatype: 'FP32', shape: ['batch', 10] }],
      cases: [{ batch: 2 }, { batch: 1 }, { batch: 3 }],
    });
    expect(converted.comparison.maxRelative).toBeLessThan(1e-5);
  }
  const saved = await convert(at('three-saved'));
  expect(saved).toMatchObject({ source: { kind: 'TensorFlow SavedModel' }, inputs: IMAGE });
});

test('several inputs and outputs keep their names', async (context) => {
  await needTensorflow(context);
  const { inputs, outputs } = await convert(at('many.keras'));
  expect(inputs.map(({ name }) => name)).toEqual(['a', 'b']);
  expect(outputs.map(({ name }) => name)).toEqual(['one', 'two']);
});

test('a network of records is converted: inputs by name, words in a table, numbers that are part of it, gelu', async (context) => {
  await needTensorflow(context);
  const converted = await convert(at('records.keras'), { samples: at('records.npz') });
  expect(converted.inputs).toEqual([
    { name: 'number', datatype: 'FP32', shape: ['batch', 4] },
    { name: 'word', datatype: 'BYTES', shape: ['batch', 1] },
  ]);
  expect(converted.comparison.maxRelative).toBeLessThan(1e-5);
});

test('inputs and outputs of a SavedModel are in the order of their names, and a number of dimensions that is open can be said', async (context) => {
  await needTensorflow(context);
  expect(await refused(at('loose-saved'))).toContain(
    "'a' does not say how many dimensions it has: give it with --input a=float32[batch,3]",
  );
  const inputs = ['a=float32[batch,2]', 'b=float32[batch]'];
  const converted = await convert(at('loose-saved'), { inputs });
  expect(converted.inputs.map(({ name }) => name)).toEqual(['a', 'b']);
  expect(converted.outputs.map(({ name }) => name)).toEqual(['a_', 'b_']);
});

test('what has no operators in ONNX is refused by their names', async (context) => {
  await needTensorflow(context);
  expect(await refused(at('text.keras'), { samples: at('text.npz') })).toContain(
    'the converter knows no operators of ONNX for StaticRegexReplace, StringSplitV2',
  );
});

test('networks of Keras 2 are converted', async (context) => {
  await needTensorflow(context);
  expect((await convert(at('two.keras'))).source.kind).toBe('Keras 2');
  expect((await convert(at('two-saved'), { outputNames: ['scores'] })).outputs[0]!.name).toBe('scores');
});

test('a network that was trained with quantization in mind keeps its ranges', async (context) => {
  await needTensorflow(context);
  const output = path.join(temporaryFolder(), 'model.onnx');
  const converted = await convert(at('quantized.h5'), { samples: at('rows.npz'), output });
  expect(converted.tolerance).toBe(0.05);
  expect(converted.notes[0]).toContain('trained with quantization in mind');
  const operators = readOnnxModel(output).facts.operators.map(({ operator }) => operator);
  expect(operators).toContain('QuantizeLinear');
  expect(operators).toContain('DequantizeLinear');
  expect(await refused(at('quantized.keras'))).toContain('come back from .h5 and SavedModel alone');
});

test('a pruned network loses its wrappers and keeps its zeros', async (context) => {
  await needTensorflow(context);
  const converted = await convert(at('pruned.h5'));
  expect(converted.notes[0]).toContain('the wrappers of pruning are stripped');
  expect(converted.comparison.maxRelative).toBeLessThan(1e-5);
});

test.for([
  ['a Lambda layer', 'lambda.keras', 'SOURCE_UNSAFE', 'has a layer of the class Lambda'],
  ['a class of another module', 'stranger.keras', 'SOURCE_UNSAFE', "of the module 'subprocess', which is not Keras's"],
  ['Python in a graph', 'python-saved', 'SOURCE_UNSAFE', 'has the operator PyFunc'],
  ['a graph that reads files', 'reader-saved', 'SOURCE_UNSAFE', 'has the operator ReadFile'],
  ['weights that are in another file', 'outside.h5', 'SOURCE_UNSAFE', "refers to another file, '/etc/passwd'"],
  ['weights that unpack without end', 'bomb.h5', 'SOURCE_TOO_LARGE', "'weights' would unpack to 4398046511104 bytes"],
  ['weights alone', 'only.weights.h5', 'SOURCE_UNKNOWN', 'holds weights and no network'],
] as const)('%s is refused before anything of it is loaded', async ([, source, code, message], context) => {
  await needTensorflow(context);
  const said = await refused(at(source));
  expect(said).toContain(`${code} ${at(source)}: `);
  expect(said).toContain(message);
});

test('layers of the author, whose code is not in the file, are told how to come', async (context) => {
  await needTensorflow(context);
  expect(await refused(at('own.keras'))).toMatch(
    /Could not locate class 'Twice'; the code of layers of your own is not in the file, so convert a SavedModel/,
  );
});

test('what is damaged, or does not fit, is refused in one sentence', async (context) => {
  await needTensorflow(context);
  const damaged = path.join(temporaryFolder(), 'saved');
  mkdirSync(damaged);
  writeFileSync(path.join(damaged, 'saved_model.pb'), 'no graph');
  expect(await refused(damaged)).toContain('SOURCE_UNREADABLE');
  expect(await refused(at('two-saved'), { signature: 'predict' })).toContain(
    "has no signature 'predict' but serving_default",
  );
  expect(await refused(at('three.keras'), { outputNames: ['a', 'b'], trustPickle: true })).toContain(
    'names 2 outputs, and the network has 1: classes',
  );
  expect(await refused(at('two.keras'), { inputs: ['image=float32[batch,8,8,3]'] })).toContain(
    'the network takes image=float32',
  );
});
