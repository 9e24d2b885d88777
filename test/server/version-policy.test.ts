import { expect, test } from 'vitest';
import { parseVersionPolicy, selectVersions } from '../../runtime/server/repository/version-policy';

test.each([
  ['latest', [12]],
  ['latest:2', [12, 7]],
  ['latest:9', [12, 7, 3, 1]],
  ['all', [12, 7, 3, 1]],
  ['specific:3', [3]],
  ['specific:1,12,5', [12, 1]],
])("the version policy '%s' serves %j of versions 1, 3, 7 and 12", (policy, expected) => {
  expect(selectVersions(parseVersionPolicy(policy), [3, 12, 1, 7])).toEqual(expected);
});

test.each([
  '',
  'newest',
  'latest:0',
  'latest:',
  'latest:1.5',
  'all:3',
  'specific',
  'specific:',
  'specific:1,x',
  'latest:1:2',
])("the version policy '%s' is refused with what would work", (policy) => {
  expect(() => parseVersionPolicy(policy)).toThrow(
    `ENVIRONMENT_INVALID SLIPWAY_VERSION_POLICY: must be latest, latest:<n>, all or specific:<version>,<version>, got '${policy}'`,
  );
});
