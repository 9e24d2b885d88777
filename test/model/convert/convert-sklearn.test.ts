import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test, vi, type TestContext } from 'vitest';
import { modelPython } from '../../support/model-python';
import { convert, refused, runProgram } from './support';

// Frameworks take seconds to load, and machines are shared.
vi.setConfig({ testTimeout: 240_000 });

const folder = mkdtempSync(path.join(tmpdir(), 'slipway-convert-sklearn-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => path.join(folder, name);
const TREE = 'sklearn.tree._tree.Tree';

const SAVED = `
import joblib, numpy, pandas, pickle, skops.io
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
rows, classes = load_iris(return_X_y=True)
rows = rows.astype('float32')
names = load_iris().target_names[classes]
skops.io.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, names), 'pipeline.skops')
skops.io.dump(RandomForestClassifier(20, random_state=0).fit(rows, classes), 'forest.skops')
skops.io.dump(GradientBoostingRegressor(random_state=0).fit(rows, rows[:, 0] * classes), 'regression.skops')
skops.io.dump(StandardScaler().fit(rows), 'scaler.skops')
numpy.savez('iris.npz', input=rows)
random = numpy.random.RandomState(0)
table = pandas.DataFrame({'age': random.rand(100).astype('float32') * 50, 'city': random.choice(['oslo', 'lima'], 100)})
steps = ColumnTransformer([('numbers', StandardScaler(), ['age']), ('words', OneHotEncoder(), ['city'])])
mixed = make_pipeline(steps, LogisticRegression()).fit(table, table.age > 25)
skops.io.dump(mixed, 'mixed.skops')
joblib.dump(mixed, 'mixed.joblib')
numpy.savez('mixed.npz', age=table[['age']].to_numpy(), city=table[['city']].to_numpy().astype(str))
class Evil:
    def __reduce__(self):
        return (open, ('evil-was-here', 'w'))
pickle.dump(Evil(), open('evil.pkl', 'wb'))
joblib.dump({'weights': rows}, 'dictionary.joblib')
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.svm import SVC, LinearSVC
exact = load_iris(return_X_y=True)[0]
pair = classes > 0
two = numpy.stack([classes, classes % 2], axis=1)
for name, model in {
    'clusters': make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0)).fit(exact),
    'outliers': IsolationForest(n_estimators=10, random_state=0).fit(exact),
    'mixture': GaussianMixture(3, random_state=0).fit(exact),
    'boosted': HistGradientBoostingClassifier(max_iter=3).fit(exact, classes),
    'vectors': make_pipeline(StandardScaler(), SVC()).fit(exact, pair),
    'line': make_pipeline(StandardScaler(), LinearSVC()).fit(exact, pair),
    'searched': GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {'logisticregression__C': [1, 2]}).fit(exact, classes),
    'votes': VotingClassifier([('line', LogisticRegression()), ('other', LogisticRegression(C=2))], voting='soft').fit(exact, classes),
    'forest-of-two': RandomForestClassifier(n_estimators=5, random_state=0).fit(rows, two),
    'two': MultiOutputClassifier(LogisticRegression()).fit(rows, two),
}.items():
    joblib.dump(model, name + '.joblib')
words = ['good film', 'bad film', 'GREAT acting', 'awful acting', 'really good', 'really bad'] * 3
skops.io.dump(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(words, ['yes', 'no'] * 9), 'text.skops')
skops.io.dump(TfidfVectorizer().fit(words), 'weights-of-words.skops')
numpy.savez('list.npz', text=numpy.array(words))
numpy.savez('column.npz', text=numpy.array(words)[:, None])
`;

async function needSklearn(context: TestContext): Promise<void> {
  const { python } = await modelPython(context, 'sklearn');
  if (!existsSync(at('mixed.npz'))) runProgram(python, folder, SAVED);
}

test('a pipeline becomes one graph from raw numbers to class and probabilities, as tensors', async (context) => {
  await needSklearn(context);
  const converted = await convert(at('pipeline.skops'), { samples: at('iris.npz') });
  expect(converted).toMatchObject({
    source: { kind: 'scikit-learn' },
    inputs: [{ name: 'input', datatype: 'FP32', shape: ['batch', 4] }],
    outputs: [
      { name: 'label', datatype: 'BYTES', shape: ['batch'] },
      // No ZipMap: a row of numbers, and not a dictionary.
      { name: 'probabilities', datatype: 'FP32', shape: ['batch', 3] },
    ],
    cases: [{ batch: 2 }, { batch: 1 }, { batch: 3 }, { batch: 64 }],
  });
  expect(converted.comparison.agreement).toBe(1);
  expect(converted.comparison.maxRelative).toBeLessThan(1e-5);
  expect((await convert(at('scaler.skops'))).outputs).toHaveLength(1);
});

test('columns by name are inputs by name, text among them', async (context) => {
  await needSklearn(context);
  const message = await refused(at('mixed.skops'));
  expect(message).toContain('INPUTS_UNKNOWN --input: the model was fitted on named columns (age, city)');
  const inputs = ['age=float32[batch,1]', 'city=string[batch,1]'];
  expect(await refused(at('mixed.skops'), { inputs })).toContain(
    "the input 'city' is text: give rows of it with --samples",
  );
  const converted = await convert(at('mixed.skops'), { samples: at('mixed.npz') });
  expect(converted.inputs.map(({ name, datatype }) => [name, datatype])).toEqual([
    ['age', 'FP32'],
    ['city', 'BYTES'],
  ]);
  expect(converted.comparison.agreement).toBe(1);
});

test('types that skops does not vouch for are refused by name, and taken when their author vouches', async (context) => {
  await needSklearn(context);
  expect(await refused(at('forest.skops'))).toContain(`holds types that skops does not vouch for: ${TREE}`);
  const forest = await convert(at('forest.skops'), { trustedTypes: [TREE], samples: at('iris.npz') });
  expect(forest.outputs[0]).toMatchObject({ name: 'label', datatype: 'INT64' });
  const regression = await convert(at('regression.skops'), { trustedTypes: [TREE] });
  expect(regression.outputs).toHaveLength(1);
});

test.for([
  // Fitted in float64, served in float32.
  ['clusters', ['label', 'scores']],
  ['outliers', ['label', 'scores']],
  ['mixture', ['label', 'probabilities']],
  ['boosted', ['label', 'probabilities']],
  // No probabilities, but scores: of each of two classes, and of the second alone.
  ['vectors', ['label', 'probabilities']],
  ['line', ['label', 'probabilities']],
  ['searched', ['label', 'probabilities']],
  ['votes', ['label', 'probabilities']],
  ['forest-of-two', ['label', 'probabilities']],
] as const)(
  'what scikit-learn answers beside its first answer is compared as well: %s',
  async ([name, outputs], context) => {
    await needSklearn(context);
    const converted = await convert(at(`${name}.joblib`), { trustPickle: true, samples: at('iris.npz') });
    expect(converted.outputs.map((output) => output.name)).toEqual(outputs);
    expect(converted.comparison.maxRelative).toBeLessThan(1e-4);
  },
);

test('a list of outputs, which no server answers with, is refused', async (context) => {
  await needSklearn(context);
  expect(await refused(at('two.joblib'), { trustPickle: true })).toContain(
    "its output 'probabilities' is a list of tensors, one for each target",
  );
});

test('text is a list or a column, and needs no locale that images of containers lack', async (context) => {
  await needSklearn(context);
  const converted = await convert(at('text.skops'), { samples: at('list.npz') });
  expect(converted.inputs).toEqual([{ name: 'text', datatype: 'BYTES', shape: ['batch'] }]);
  expect(readFileSync(converted.output.path).includes('C.UTF-8')).toBe(true);
  const column = await convert(at('text.skops'), { samples: at('column.npz') });
  expect(column.inputs[0]!.shape).toEqual(['batch', 1]);
  // Its answer is a sparse matrix.
  const weights = await convert(at('weights-of-words.skops'), { samples: at('list.npz') });
  expect(weights.outputs[0]!.shape).toEqual(['batch', 7]);
});

test('a pickle runs only where it is trusted', async (context) => {
  await needSklearn(context);
  expect(await refused(at('evil.pkl'))).toContain('is a pickle, and loading one can run any code');
  expect(existsSync(at('evil-was-here'))).toBe(false);
  const converted = await convert(at('mixed.joblib'), { trustPickle: true, samples: at('mixed.npz') });
  expect(converted.notes[0]).toContain('--trust-pickle: what the file asked for ran');
  expect(await refused(at('dictionary.joblib'), { trustPickle: true })).toContain('INPUTS_UNKNOWN');
});

test('a sample that does not fit is refused', async (context) => {
  await needSklearn(context);
  expect(await refused(at('pipeline.skops'), { samples: at('mixed.npz') })).toContain('CONVERSION_FAILED');
  const inputs = ['other=float32[batch,4]'];
  expect(await refused(at('pipeline.skops'), { samples: at('iris.npz'), inputs })).toContain(
    "has no array for the input 'other', but 'input'",
  );
});

test('a difference beyond the tolerance leaves nothing', async (context) => {
  await needSklearn(context);
  const message = await refused(at('pipeline.skops'), { samples: at('iris.npz'), tolerance: 0 });
  expect(message).toContain('CONVERSION_DIFFERS');
  expect(message).toContain("output 'probabilities' differs from the source");
});
