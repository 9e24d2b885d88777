import type { Checkup } from './checkup';
import type { DoctorFacts } from './facts';
import { examineAws } from './examine-aws';
import { examineCluster } from './examine-cluster';
import { examineEvidence } from './examine-evidence';
import { examineGpus } from './examine-gpus';
import { examineIdentity } from './examine-identity';
import { examineMonitoring } from './examine-monitoring';
import { examineNamespace } from './examine-namespace';
import { examineTools } from './examine-tools';

/** Everything that can be said of what was collected; nothing is asked for here. */
export function examine(facts: DoctorFacts): readonly Checkup[] {
  const { tools, cluster, needs, aws, probe, evidence = [] } = facts;
  return [
    ...examineTools(tools, cluster !== undefined),
    ...(cluster === undefined
      ? []
      : [
          ...examineCluster(cluster, needs),
          ...examineGpus(cluster, needs),
          ...examineNamespace(cluster, needs),
          ...examineMonitoring(cluster, needs),
        ]),
    ...examineEvidence(evidence),
    ...(probe === undefined ? [] : examineIdentity(probe)),
    ...(aws === undefined ? [] : examineAws(aws, needs)),
  ];
}
