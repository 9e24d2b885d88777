import { IAMMember } from '@pulumi/gcp/projects';
import { Account } from '@pulumi/gcp/serviceaccount';
import * as pulumi from '@pulumi/pulumi';
import { fitName } from '../fit-name';
import type { Project } from './project';

/**
 * What Google asks of the account of machines (logs, metrics, joining the cluster), and pulling the project's images. The
 * account that machines have otherwise may edit the whole project.
 */
const NODE_ROLES = {
  node: 'roles/container.defaultNodeServiceAccount',
  pull: 'roles/artifactregistry.reader',
} as const;

/** An account of the machines' own, and the rights that must be there before the first of them. */
export interface NodeAccount {
  readonly account: Account;
  readonly rights: IAMMember[];
}

export function createNodeAccount(name: string, project: Project, parent: pulumi.ComponentResource): NodeAccount {
  // Google takes 6 to 30 characters.
  const { named, once } = fitName('accountId', 30, name, parent);
  const account = new Account(
    name,
    { ...named, project: project.id, displayName: pulumi.interpolate`machines of ${name}` },
    { parent, ...once },
  );
  const member = pulumi.interpolate`serviceAccount:${account.email}`;
  const rights = Object.entries(NODE_ROLES).map(
    ([use, role]) => new IAMMember(`${name}-${use}`, { project: project.id, role, member }, { parent }),
  );
  return { account, rights };
}
