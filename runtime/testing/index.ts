export { startAwsEmulator, type AwsEmulator, type AwsEmulatorOptions } from './aws-emulator';
export { playClouds } from './clouds/play-clouds';
export { goldenDifference, scrubTemplate, type Template } from './golden-template';
export { applyToCluster, type KubernetesApplyOptions } from './kubernetes-apply';
export {
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResource,
  findResources,
  loggedErrors,
  madeInsideApply,
  propertyAt,
  type PulumiRecording,
  type RecordedAlias,
  type RecordedInvoke,
  type RecordedLog,
  type RecordedResource,
} from './pulumi-recording';
export type { DeclaredResource, OnInvoke, OnResource, ProviderSettings, ResourceState } from './pulumi-provider';
export { runPulumiProgram, type PulumiProgramOptions } from './pulumi-program';
export {
  containsSecret,
  containsUnknown,
  isSecret,
  isUnknown,
  reveal,
  secret,
  UNKNOWN,
  type AssetValue,
  type Properties,
  type PropertyValue,
  type ResourceReference,
  type SecretValue,
  type UnknownValue,
} from './pulumi-values';
export {
  assertSynthBudget,
  synthSeconds,
  type Synthesizable,
  type SynthTiming,
  type SynthTimingOptions,
} from './synth-budget';
