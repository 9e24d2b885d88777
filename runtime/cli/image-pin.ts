import type { Command } from './command';
import { BASE_OPTIONS, readTool, readVariant, textOption } from './image-options';

/** `slipway image pin`: resolves the digest that the base image's tag has now, and records it. */
export const imagePin: Command = {
  arguments: [],
  options: BASE_OPTIONS,
  details: 'The digests are recorded in slipway.image.json, which every later build uses. Commit it.',
  run: async (given, terminal) => {
    const { pinBaseImage } = await import('../image/index.js');
    const { path, pin } = await pinBaseImage({
      variant: readVariant(given),
      ...textOption(given, 'base-image', 'baseImage'),
      ...textOption(given, 'cuda-image', 'cudaImage'),
      ...textOption(given, 'cuda-sha256', 'cudaSha256'),
      ...textOption(given, 'directory', 'directory'),
      ...(await readTool(given)),
    });
    for (const image of [pin.baseImage, pin.cudaImage]) if (image !== undefined) terminal.out(image);
    terminal.err(`recorded in ${path}`);
  },
};
