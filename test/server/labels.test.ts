import { describe, expect, test } from 'vitest';
import { parseLabelRules, VersionLabels } from '../../runtime/server/repository/version-labels';

const FILE = 'm/version-labels.json';

function rules(
  labels: Record<string, number>,
  weights: Record<string, number> = {},
): ReturnType<typeof parseLabelRules> {
  return parseLabelRules(JSON.stringify({ labels, weights }), FILE);
}

function choices(labels: VersionLabels, times: number, isReady = (_: number): boolean => true): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const version = String(labels.choose(isReady));
    counts[version] = (counts[version] ?? 0) + 1;
  }
  return counts;
}

describe('a label', () => {
  test('leads to its version as soon as that one is loaded, and not before', () => {
    const labels = new VersionLabels();
    labels.use(rules({ stable: 1, canary: 2 }), (version) => version === 1);
    expect(labels.versionOf('stable')).toBe(1);
    expect(labels.versionOf('canary')).toBeUndefined();
    expect(labels.names).toEqual(['stable']);
    expect([...labels.settle(() => true)]).toEqual([]);
    expect(labels.versionOf('canary')).toBe(2);
  });

  test('stays where it is while the version that it is meant for is not loaded', () => {
    const labels = new VersionLabels();
    labels.use(rules({ stable: 1 }), () => true);
    labels.use(rules({ stable: 2 }), (version) => version === 1);
    expect(labels.versionOf('stable')).toBe(1);
    expect([...labels.settle((version) => version === 1)]).toEqual([['stable', 2]]);
    labels.settle(() => true);
    expect(labels.versionOf('stable')).toBe(2);
  });

  test('that is no longer written leads nowhere, and so does one whose version is gone', () => {
    const labels = new VersionLabels();
    labels.use(rules({ stable: 1, canary: 2 }), () => true);
    labels.use(rules({ stable: 1 }), () => true);
    expect(labels.versionOf('canary')).toBeUndefined();
    labels.settle(() => false);
    expect(labels.versionOf('stable')).toBeUndefined();
  });

  test('may be called like a property of every object', () => {
    const labels = new VersionLabels();
    labels.use(parseLabelRules('{"labels":{"__proto__":3,"constructor":4}}', FILE), () => true);
    expect(labels.versionOf('__proto__')).toBe(3);
    expect(labels.versionOf('constructor')).toBe(4);
    expect(labels.versionOf('toString')).toBeUndefined();
  });
});

describe('weights', () => {
  test('share requests out as they say: of any thousand, ten per cent are a hundred, give or take two', () => {
    const labels = new VersionLabels();
    labels.use(rules({ stable: 1, canary: 2, next: 3 }, { canary: 10, next: 3 }), () => true);
    for (let round = 0; round < 5; round++) {
      const counts = choices(labels, 1_000);
      expect(Math.abs(counts['2']! - 100)).toBeLessThanOrEqual(2);
      expect(Math.abs(counts['3']! - 30)).toBeLessThanOrEqual(2);
      expect(counts['1']! + counts['2']! + counts['3']!).toBe(1_000);
    }
  });

  test('spread a share evenly: no forty requests in a row without one of ten per cent', () => {
    const labels = new VersionLabels();
    labels.use(rules({ stable: 1, canary: 2 }, { canary: 10 }), () => true);
    let gap = 0;
    for (let i = 0; i < 10_000; i++) {
      gap = labels.choose(() => true) === 2 ? 0 : gap + 1;
      expect(gap).toBeLessThan(20);
    }
  });

  test('of a label that is not ready are those of stable', () => {
    const labels = new VersionLabels();
    labels.use(rules({ stable: 1, canary: 2 }, { canary: 50 }), () => true);
    expect(choices(labels, 100, (version) => version === 1)).toEqual({ '1': 100 });
  });

  test('choose nothing when there are none, or nothing that has one is ready', () => {
    const labels = new VersionLabels();
    labels.use(rules({ stable: 1 }), () => true);
    expect(labels.choose(() => true)).toBeUndefined();
    labels.use(rules({ stable: 1, canary: 2 }, { canary: 100 }), () => true);
    expect(labels.choose(() => false)).toBeUndefined();
  });
});

test.each([
  ['{', 'must be JSON'],
  ['[]', 'must be an object with labels and weights'],
  ['{"label":{}}', "'label' is not known here; labels and weights are"],
  ['{"labels":{"a b":1}}', "label 'a b' must be 1 to 64 letters, digits or underscores"],
  ['{"labels":{"stable":0}}', "label 'stable' must name a version from 1 up, got 0"],
  ['{"labels":{"stable":"1"}}', "'stable' must be a number"],
  ['{"labels":{"stable":1},"weights":{"canary":5}}', "weights name 'canary', and labels have no such entry"],
  ['{"labels":{"stable":1},"weights":{"stable":101}}', "the weight of 'stable' must be from 0 to 100, got 101"],
  ['{"labels":{"a":1,"b":2},"weights":{"a":60,"b":50}}', 'weights are parts of 100, got 110 together'],
  ['{"labels":{"a":1},"weights":{"a":60}}', "weights sum to 60 of 100, and there is no label 'stable' to get the rest"],
])('the label file %s is refused', (text, reason) => {
  expect(() => parseLabelRules(text, FILE)).toThrow(`VERSION_LABELS_INVALID ${FILE}: ${reason}`);
});
