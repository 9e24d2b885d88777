export { checkConfiguration, type ConfiguredSignature } from './check-configuration';
export type * from './model-configuration';
export { executorsOf } from './executors-of';
export { readModelConfiguration } from './read-model-configuration';
export {
  writeModelConfigurationJson,
  type ModelConfigurationJson,
  type ServedFacts,
} from './write-model-configuration-json';
