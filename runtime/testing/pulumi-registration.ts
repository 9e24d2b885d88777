import type { Alias } from '@pulumi/pulumi/proto/alias_pb';
import type { ReadResourceRequest, RegisterResourceRequest } from '@pulumi/pulumi/proto/resource_pb';
import type { StackTrace } from '@pulumi/pulumi/proto/source_pb';
import type { DeclaredResource } from './pulumi-provider';
import type { RecordedAlias } from './pulumi-recording';
import type { Properties } from './pulumi-values';

export function recordRegistration(
  request: RegisterResourceRequest,
  urn: string,
  inputs: Properties,
): DeclaredResource {
  const timeouts = request.getCustomtimeouts();
  return {
    urn,
    type: request.getType(),
    name: request.getName(),
    parent: request.getParent(),
    custom: request.getCustom(),
    remote: request.getRemote(),
    read: false,
    inputs,
    protect: request.getProtect() ?? false,
    dependencies: request.getDependenciesList(),
    propertyDependencies: Object.fromEntries(
      [...request.getPropertydependenciesMap().entries()].map(([key, dependencies]) => [
        key,
        dependencies.getUrnsList(),
      ]),
    ),
    provider: request.getProvider(),
    providers: Object.fromEntries(request.getProvidersMap().entries()),
    aliases: request.getAliasesList().map(recordAlias),
    ignoreChanges: request.getIgnorechangesList(),
    replaceOnChanges: request.getReplaceonchangesList(),
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    customTimeouts: withoutEmpty({
      create: timeouts?.getCreate(),
      update: timeouts?.getUpdate(),
      delete: timeouts?.getDelete(),
    }),
    deleteBeforeReplace: request.getDeletebeforereplace(),
    retainOnDelete: request.getRetainondelete() ?? false,
    deletedWith: request.getDeletedwith(),
    importId: request.getImportid(),
    version: request.getVersion(),
    packageRef: request.getPackageref(),
    insideApply: wasMadeInsideApply(request.getStacktrace()),
  };
}

export function recordRead(request: ReadResourceRequest, urn: string, inputs: Properties): DeclaredResource {
  return {
    urn,
    type: request.getType(),
    name: request.getName(),
    parent: request.getParent(),
    custom: true,
    remote: false,
    read: true,
    inputs,
    protect: false,
    dependencies: request.getDependenciesList(),
    propertyDependencies: {},
    provider: request.getProvider(),
    providers: {},
    aliases: [],
    ignoreChanges: [],
    replaceOnChanges: [],
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    customTimeouts: {},
    deleteBeforeReplace: false,
    retainOnDelete: false,
    deletedWith: '',
    importId: request.getId(),
    version: request.getVersion(),
    packageRef: request.getPackageref(),
    insideApply: wasMadeInsideApply(request.getStacktrace()),
  };
}

function recordAlias(alias: Alias): RecordedAlias {
  const spec = alias.getSpec();
  if (spec === undefined) return { urn: alias.getUrn() };
  return {
    ...withoutEmpty({
      name: spec.getName(),
      type: spec.getType(),
      stack: spec.getStack(),
      project: spec.getProject(),
      parent: spec.getParenturn(),
    }),
    ...(spec.getNoparent() ? { noParent: true } : {}),
  };
}

/**
 * The SDK runs the callback of every `apply` from its own `output` module, so that file stands in the stack trace. Its
 * source map names it `@pulumi/output.ts`; without source maps it is `@pulumi/pulumi/output.js`.
 */
function wasMadeInsideApply(trace: StackTrace | undefined): boolean {
  const files = trace?.getFramesList().map((frame) => frame.getPc()?.getUri() ?? '') ?? [];
  return files.some((file) => /\/@pulumi\/(pulumi\/)?output\.[jt]s$/.test(file));
}

function withoutEmpty<K extends string>(fields: Record<K, string | undefined>): { [P in K]?: string } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value)) as { [P in K]?: string };
}
