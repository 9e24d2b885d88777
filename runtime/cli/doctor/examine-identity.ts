import { bindIdentity } from '../../../pulumi/remedies';
import type { Checkup } from './checkup';
import type { ProbeFacts } from './facts';

export function examineIdentity({ uri, serviceAccount, isRead, message }: ProbeFacts): readonly Checkup[] {
  return [
    isRead
      ? {
          code: 'identity',
          severity: 'ok',
          what: `a pod of service account '${serviceAccount}' reads the model`,
          evidence: uri,
        }
      : {
          code: 'identity',
          severity: 'error',
          what: `a pod of service account '${serviceAccount}' cannot read the model`,
          evidence: `${uri}: ${message}`,
          fix: bindIdentity(serviceAccount),
        },
  ];
}
