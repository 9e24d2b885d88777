import { DiagnosticSetting } from '@pulumi/azure-native/monitor';
import { Workspace } from '@pulumi/azure-native/operationalinsights';
import type * as pulumi from '@pulumi/pulumi';
import type { ChildOptions } from '../child-options';
import { fitName } from '../fit-name';
import type { Tags } from '../tags';

/**
 * Without `kube-audit`, which is every read, too: `kube-audit-admin` has what changes something.
 * Source: https://learn.microsoft.com/azure/aks/monitor-aks-reference, read 2026-11-22.
 */
const CATEGORIES = ['kube-apiserver', 'kube-audit-admin', 'kube-controller-manager', 'cluster-autoscaler', 'guard'];
const KEPT_DAYS = 30;

export interface ControlPlaneLogs {
  readonly resourceGroupName: pulumi.Input<string>;
  readonly clusterId: pulumi.Input<string>;
  /** Log Analytics workspace that is there already. */
  readonly workspaceId: pulumi.Input<string> | undefined;
  readonly tags: Tags | undefined;
}

/** Sends what the control plane logs to a Log Analytics workspace. */
export function logControlPlane(name: string, args: ControlPlaneLogs, child: ChildOptions): void {
  const { resourceGroupName, clusterId, tags } = args;
  const workspaceId = args.workspaceId ?? createWorkspace(name, resourceGroupName, tags, child).id;
  new DiagnosticSetting(
    name,
    {
      resourceUri: clusterId,
      workspaceId,
      logAnalyticsDestinationType: 'Dedicated',
      logs: CATEGORIES.map((category) => ({ category, enabled: true })),
    },
    child,
  );
}

function createWorkspace(
  name: string,
  resourceGroupName: pulumi.Input<string>,
  tags: Tags | undefined,
  child: ChildOptions,
): Workspace {
  const { named, once } = fitName('workspaceName', 63, name, child.parent);
  return new Workspace(
    name,
    { ...named, resourceGroupName, sku: { name: 'PerGB2018' }, retentionInDays: KEPT_DAYS, tags },
    { ...child, ...once },
  );
}
