import * as budgets from 'aws-cdk-lib/aws-budgets';
import { Construct } from 'constructs';
import { SpecError } from '../runtime/spec';
import { number } from '../runtime/spec/numbers';

const MAX_RECIPIENTS = 10;

export interface GpuBudgetProps {
  /** What may be spent in a month, in `currency`. */
  readonly monthlyLimit: number;
  /** @default 'USD' */
  readonly currency?: string;
  /** Key and value of the tag on what is counted: what `InferenceTags` writes, for instance. */
  readonly tagKey: string;
  readonly tagValue: string;
  /** Who is told: 1 to 10 addresses. */
  readonly emails: readonly string[];
  /** Percent of the limit at which somebody is told what has been spent. @default 80 */
  readonly actualPercent?: number;
  /** Percent of the limit at which somebody is told what will be spent by the end of the month. @default 100 */
  readonly forecastPercent?: number;
}

/**
 * A monthly budget for everything with one tag. It tells, and stops nothing; AWS reckons costs some hours later.
 *
 * A tag counts only once it is an active cost allocation tag, which the billing console of the account that pays makes it:
 * until then the budget sees nothing spent.
 */
export class GpuBudget extends Construct {
  /** The budget. Exposed so that nothing is out of reach. */
  readonly budget: budgets.CfnBudget;

  constructor(scope: Construct, id: string, props: GpuBudgetProps) {
    super(scope, id);
    const amount = number('monthlyLimit', props.monthlyLimit, 0, 0.01, 1_000_000_000);
    assertEmails(props.emails);
    const subscribers = props.emails.map((address) => ({ subscriptionType: 'EMAIL', address }));
    this.budget = new budgets.CfnBudget(this, 'Resource', {
      budget: {
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount, unit: props.currency ?? 'USD' },
        costFilters: { TagKeyValue: [`user:${props.tagKey}$${props.tagValue}`] },
      },
      notificationsWithSubscribers: [
        notification('ACTUAL', number('actualPercent', props.actualPercent, 80, 1, 1_000)),
        notification('FORECASTED', number('forecastPercent', props.forecastPercent, 100, 1, 1_000)),
      ].map((each) => ({ notification: each, subscribers })),
    });
  }
}

function notification(notificationType: string, threshold: number): budgets.CfnBudget.NotificationProperty {
  return { notificationType, comparisonOperator: 'GREATER_THAN', threshold, thresholdType: 'PERCENTAGE' };
}

function assertEmails(emails: readonly string[]): void {
  if (emails.length < 1 || emails.length > MAX_RECIPIENTS) {
    throw new SpecError(
      'BUDGET_RECIPIENTS',
      'emails',
      `must be 1 to ${MAX_RECIPIENTS} addresses, got ${emails.length}`,
    );
  }
}
