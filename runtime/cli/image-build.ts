import type { Command } from './command';
import { BUILD_OPTIONS, readBuildOptions } from './image-options';

/** `slipway image build`: the server image, in the container tool's own storage. Prints its tag. */
export const imageBuild: Command = {
  arguments: [],
  options: {
    ...BUILD_OPTIONS,
    tag: { type: 'string', value: 'name:tag', description: 'name and tag of the image (slipway:<version>-<variant>)' },
  },
  run: async (given, terminal) => {
    const { buildImage } = await import('../image/index.js');
    const { tag } = await buildImage(await readBuildOptions(given, terminal));
    terminal.out(tag);
  },
};
