import { getProjectOutput } from '@pulumi/gcp/organizations';
import * as pulumi from '@pulumi/pulumi';
import type { ClusterFacts } from './cluster-facts';

/** IAM names the same project by its id in one place and by its number in another. */
export interface Project {
  readonly id: pulumi.Output<string>;
  readonly number: pulumi.Output<string>;
}

export function projectOf(
  { project, projectNumber }: Pick<ClusterFacts, 'project' | 'projectNumber'>,
  parent: pulumi.ComponentResource,
): Project {
  if (project !== undefined && projectNumber !== undefined) {
    return { id: pulumi.output(project), number: pulumi.output(projectNumber) };
  }
  const found = getProjectOutput(project === undefined ? {} : { projectId: project }, { parent });
  return {
    // Defined wherever the lookup succeeds; the provider's types do not say so.
    id: project === undefined ? found.apply(({ projectId }) => projectId!) : pulumi.output(project),
    number: projectNumber === undefined ? found.number : pulumi.output(projectNumber),
  };
}
