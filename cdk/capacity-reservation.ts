import { Annotations, Token } from 'aws-cdk-lib';
import type * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import { SpecError } from '../runtime/spec';
import type { MachineCapacity, ReservationTarget } from './capacity';

/** Has machines run in what was reserved for them. The CDK has no words for it above CloudFormation's. */
export function useReservation(
  capacity: MachineCapacity,
  group: autoscaling.AutoScalingGroup,
  launchTemplate: ec2.LaunchTemplate,
): void {
  if (capacity.kind === 'reservation') {
    // The group says it alone. A launch template that names a reservation asks for it at every launch, and a machine
    // would fail to start where the group is to take another when the reservation is full.
    const cfnGroup = group.node.defaultChild as autoscaling.CfnAutoScalingGroup;
    cfnGroup.capacityReservationSpecification = {
      capacityReservationPreference: capacity.only ? 'capacity-reservations-only' : 'capacity-reservations-first',
      capacityReservationTarget: groupTarget(capacity.reservation),
    };
  }
  if (capacity.kind === 'capacityBlock') {
    // A block is a market of its own, beside on-demand and spot, and only a launch template can name it.
    const cfnTemplate = launchTemplate.node.defaultChild as ec2.CfnLaunchTemplate;
    cfnTemplate.addPropertyOverride('LaunchTemplateData.InstanceMarketOptions', { MarketType: 'capacity-block' });
    cfnTemplate.addPropertyOverride('LaunchTemplateData.CapacityReservationSpecification', {
      CapacityReservationTarget: { CapacityReservationId: capacity.reservationId },
    });
  }
}

/**
 * A single reservation is of one zone: machines in others would not be found.
 * @throws SpecError CAPACITY_CHOICE where the subnets are known to be of several zones.
 */
export function assertZoneOfReservation(
  scope: Construct,
  capacity: MachineCapacity,
  subnets: ec2.SelectedSubnets,
): void {
  if (!runsInOneZoneOnly(capacity)) return;
  const zones = [...new Set(subnets.availabilityZones)];
  if (zones.length <= 1) return;
  const advice = 'name the subnets of its zone in vpcSubnets';
  if (zones.every((zone) => !Token.isUnresolved(zone))) {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'vpcSubnets',
      `a reservation is of one zone, got ${zones.join(', ')}; ${advice}`,
    );
  }
  Annotations.of(scope).addWarningV2(
    'slipway:reservation-zone',
    `a reservation is of one zone and the machines may be placed in ${zones.length}: where it is not, none starts; ${advice}`,
  );
}

function runsInOneZoneOnly(capacity: MachineCapacity): boolean {
  if (capacity.kind === 'capacityBlock') return true;
  return capacity.kind === 'reservation' && capacity.only && 'id' in capacity.reservation;
}

function groupTarget(target: ReservationTarget): autoscaling.CfnAutoScalingGroup.CapacityReservationTargetProperty {
  return 'id' in target
    ? { capacityReservationIds: [target.id] }
    : { capacityReservationResourceGroupArns: [target.groupArn] };
}
