export { buildImage, type BuildImageOptions, type BuiltImage } from './build-image';
export { CONTAINER_TOOLS, findContainerTool, type ContainerTool, type ContainerToolName } from './container-tool';
export { PLATFORMS, type Platform } from './image-commands';
export { containerContext, IMAGE_VARIANTS, type ImageVariant } from './image-context';
export { ImageError, type ImageErrorCode } from './image-error';
export { IMAGE_PIN_FILE, isPinned, readImagePin, type ImagePin } from './image-pin';
export { pinBaseImage, type PinBaseImageOptions } from './pin-base-image';
export { pushImage, type PushImageOptions } from './push-image';
