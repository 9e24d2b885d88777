import { App, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { expect, test } from 'vitest';
import { claim } from '../../cdk/app-registry';

test('a name is taken once per app, by whoever claims it first, in whichever stack', () => {
  const app = new App({ analyticsReporting: false });
  const first = new Construct(new Stack(app, 'One'), 'First');
  const second = new Construct(new Stack(app, 'Two'), 'Second');
  expect(claim(first, 'service', 'cluster/digits')).toBeUndefined();
  expect(claim(first, 'service', 'cluster/digits')).toBeUndefined();
  expect(claim(second, 'service', 'cluster/digits')).toBe(first);
});

test('names of different kinds, and of different apps, have nothing to do with each other', () => {
  const [one, other] = ['One', 'Other'].map((id) => new Stack(new App({ analyticsReporting: false }), id)) as [
    Stack,
    Stack,
  ];
  expect(claim(one, 'platform', 'main')).toBeUndefined();
  expect(claim(one, 'registry', 'main')).toBeUndefined();
  expect(claim(other, 'platform', 'main')).toBeUndefined();
  expect(claim(new Construct(one, 'Child'), 'platform', 'main')).toBe(one);
});
