export {
  RuntimeImage,
  RuntimeImagePlatform,
  RuntimeImageVariant,
  type RegistryCredentials,
  type RuntimeImageArgs,
} from './runtime-image';
