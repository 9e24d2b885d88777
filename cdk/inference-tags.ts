import { Tags } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import { SpecError } from '../runtime/spec';

export interface InferenceTagsProps {
  /** Who answers for it: `slipway:team`. */
  readonly team: string;
  /** What it is part of: `slipway:service`. @default - no such tag */
  readonly service?: string;
  /** `production`, `staging` or whatever the team says: `slipway:environment`. @default - no such tag */
  readonly environment?: string;
  /** Tags of one's own, by their whole key. @default - none */
  readonly extra?: Readonly<Record<string, string>>;
}

// It costs nothing, and cfn-lint up to 1.51 does not know yet that it takes tags.
const UNTAGGED = ['AWS::ApplicationAutoScaling::ScalableTarget'];

/** The tags by which costs and machines are told apart, from one place. */
export class InferenceTags {
  /** Keys, for budgets and for who activates them as cost allocation tags. */
  static readonly KEYS = {
    team: 'slipway:team',
    service: 'slipway:service',
    environment: 'slipway:environment',
  } as const;

  /**
   * Tags everything below a scope that takes tags, machines that a group starts included. Tags of a scope further down win.
   * @throws SpecError TAG_INVALID for a key or a value that AWS does not take
   */
  static add(scope: IConstruct, props: InferenceTagsProps): void {
    const { team, service, environment, extra = {} } = props;
    const named = { [this.KEYS.team]: team, [this.KEYS.service]: service, [this.KEYS.environment]: environment };
    for (const [key, value] of Object.entries({ ...named, ...extra })) {
      if (value === undefined) continue;
      assertTag(key, value);
      Tags.of(scope).add(key, value, { excludeResourceTypes: UNTAGGED });
    }
  }
}

function assertTag(key: string, value: string): void {
  const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
  if (!allowed.test(key) || key.length < 1 || key.length > 128 || /^aws:/i.test(key)) {
    throw new SpecError(
      'TAG_INVALID',
      'extra',
      `a key must be 1 to 128 letters, digits, spaces or _.:/=+-@ and not begin with aws:, got '${key}'`,
    );
  }
  if (!allowed.test(value) || value.length < 1 || value.length > 256) {
    throw new SpecError('TAG_INVALID', key, `must be 1 to 256 letters, digits, spaces or _.:/=+-@, got '${value}'`);
  }
}
