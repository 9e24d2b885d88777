import { Template } from 'aws-cdk-lib/assertions';
import { GpuBudget, InferenceTags, type GpuBudgetProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { describeWithAndWithoutFlags, newStack, theOnly } from './support/stacks';

const PROPS: GpuBudgetProps = {
  monthlyLimit: 2_500,
  tagKey: InferenceTags.KEYS.team,
  tagValue: 'vision',
  emails: ['vision@example.com'],
};

describeWithAndWithoutFlags('GpuBudget', (stackOf) => {
  test('counts what has the tag, month by month, and tells of what is spent and of what will be', () => {
    const stack = stackOf();
    new GpuBudget(stack, 'Budget', PROPS);
    const { Budget, NotificationsWithSubscribers } = theOnly(
      Template.fromStack(stack),
      'AWS::Budgets::Budget',
    ).Properties;
    expect(Budget).toEqual({
      BudgetType: 'COST',
      TimeUnit: 'MONTHLY',
      BudgetLimit: { Amount: 2_500, Unit: 'USD' },
      CostFilters: { TagKeyValue: ['user:slipway:team$vision'] },
    });
    const told = NotificationsWithSubscribers.map(({ Notification, Subscribers }: any) => [
      Notification.NotificationType,
      Notification.Threshold,
      Subscribers,
    ]);
    const subscribers = [{ SubscriptionType: 'EMAIL', Address: 'vision@example.com' }];
    expect(told).toEqual([
      ['ACTUAL', 80, subscribers],
      ['FORECASTED', 100, subscribers],
    ]);
  });
});

test('a budget that tells nobody, or more than AWS takes, is refused', () => {
  for (const emails of [[], Array.from({ length: 11 }, (_, i) => `${i}@example.com`)]) {
    expect(() => new GpuBudget(newStack(), 'Budget', { ...PROPS, emails })).toThrow(
      `BUDGET_RECIPIENTS emails: must be 1 to 10 addresses, got ${emails.length}`,
    );
  }
});

test('a limit of nothing is refused', () => {
  expect(() => new GpuBudget(newStack(), 'Budget', { ...PROPS, monthlyLimit: 0 })).toThrow(
    'NUMBER_INVALID monthlyLimit',
  );
});
