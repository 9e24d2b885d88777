import type { Checkup } from './checkup';
import type { ToolFacts } from './facts';

/** `engines` of this package, and what the Pulumi SDK runs on. */
const NODE_FLOOR = [20, 19] as const;

export function examineTools(
  { node, kubectl, pulumi, imageBuilder }: ToolFacts,
  asksCluster: boolean,
): readonly Checkup[] {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const isOld = major < NODE_FLOOR[0] || (major === NODE_FLOOR[0] && minor < NODE_FLOOR[1]);
  const isBelowPulumi = major < 22;
  return [
    {
      code: 'tool-node',
      severity: isOld ? 'error' : isBelowPulumi ? 'note' : 'ok',
      what: isOld
        ? `Node is older than ${NODE_FLOOR.join('.')}`
        : isBelowPulumi
          ? 'Node works, and is below what @pulumi/pulumi asks for'
          : 'Node is new enough',
      evidence: `Node ${node}`,
      ...(isOld || isBelowPulumi ? { fix: 'install Node 22 or 24' } : {}),
    },
    kubectl !== undefined
      ? { code: 'tool-kubectl', severity: 'ok', what: 'kubectl is there', evidence: `kubectl ${kubectl}` }
      : {
          code: 'tool-kubectl',
          severity: asksCluster ? 'error' : 'note',
          what: 'kubectl is not on the PATH',
          evidence: 'kubectl version did not run',
          fix: 'https://kubernetes.io/docs/tasks/tools/',
        },
    pulumi !== undefined
      ? { code: 'tool-pulumi', severity: 'ok', what: 'the Pulumi CLI is there', evidence: `pulumi ${pulumi}` }
      : {
          code: 'tool-pulumi',
          severity: 'note',
          what: 'the Pulumi CLI is not on the PATH; slipway render and kubectl do without',
          evidence: 'pulumi version did not run',
          fix: 'https://www.pulumi.com/docs/install/',
        },
    imageBuilder !== undefined
      ? { code: 'tool-image-builder', severity: 'ok', what: 'images can be built here', evidence: imageBuilder }
      : {
          code: 'tool-image-builder',
          severity: 'note',
          what: 'nothing on the PATH builds images; slipway image build needs something that does',
          evidence: 'none of docker, podman and buildah did run',
          fix: 'install one of docker, podman and buildah',
        },
  ];
}
