import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { SpecError } from '../runtime/spec';

/** How clients speak to a listener: the author says one of the two. */
export interface ListenerProtocolProps {
  readonly certificate?: acm.ICertificate;
  readonly plaintextInsideVpc?: boolean;
}

/** @throws SpecError LISTENER_PLAINTEXT when neither was said, or both. */
export function assertListenerProtocol({ certificate, plaintextInsideVpc = false }: ListenerProtocolProps): void {
  if (plaintextInsideVpc === (certificate !== undefined)) {
    throw new SpecError(
      'LISTENER_PLAINTEXT',
      'certificate',
      plaintextInsideVpc
        ? 'got a certificate and plaintextInsideVpc; leave one of them out'
        : 'the listener needs a certificate; or write plaintextInsideVpc: true to have clients inside the VPC speak plain HTTP',
    );
  }
}

/** TLS 1.2 or newer on port 443 with a certificate, plain HTTP on port 80 without. */
export function listenerProtocol(
  certificate: acm.ICertificate | undefined,
): Pick<elbv2.BaseApplicationListenerProps, 'protocol' | 'port' | 'certificates' | 'sslPolicy'> {
  if (certificate === undefined) return { protocol: elbv2.ApplicationProtocol.HTTP, port: 80 };
  return {
    protocol: elbv2.ApplicationProtocol.HTTPS,
    port: 443,
    certificates: [certificate],
    sslPolicy: elbv2.SslPolicy.TLS13_RES,
  };
}
