import * as logs from 'aws-cdk-lib/aws-logs';
import { SpecError } from '../runtime/spec';
import type { InferenceServiceProps } from './inference-service';
import { assertCapacity } from './service-machines';

/**
 * Checks what this engine adds to the spec.
 * @throws SpecError for the first contradiction.
 */
export function assertServiceProps(props: InferenceServiceProps): void {
  assertListener(props);
  if (props.capacity !== undefined) assertCapacity(props.cluster, props.capacity);
  assertLogGroup(props);
}

function assertListener(props: InferenceServiceProps): void {
  const plaintext = props.plaintextInsideVpc ?? false;
  if (plaintext === (props.certificate !== undefined)) {
    throw new SpecError(
      'LISTENER_PLAINTEXT',
      'certificate',
      plaintext
        ? 'got a certificate and plaintextInsideVpc; leave one of them out'
        : 'the listener needs a certificate; or write plaintextInsideVpc: true to have clients inside the VPC speak plain HTTP',
    );
  }
}

// The scaling signal reaches CloudWatch in the log, and of other classes CloudWatch takes no metrics.
function assertLogGroup({ logGroup }: InferenceServiceProps): void {
  const resource = logGroup?.node.defaultChild;
  if (!(resource instanceof logs.CfnLogGroup)) return;
  const standard: string = logs.LogGroupClass.STANDARD;
  const { logGroupClass = standard } = resource;
  if (logGroupClass !== standard) {
    throw new SpecError(
      'LOG_GROUP_CLASS',
      'logGroup',
      `must be of class ${standard}, for CloudWatch takes the scaling metric from it, got ${logGroupClass}`,
    );
  }
}
