import type { Command } from './command';
import { BUILD_OPTIONS, readBuildOptions } from './image-options';

/** `slipway image push`: builds the server image, pushes it and prints it by digest. */
export const imagePush: Command = {
  arguments: [{ name: 'image repository', description: '<registry>/<name>, without tag' }],
  options: {
    ...BUILD_OPTIONS,
    tag: { type: 'string', value: 'tag', description: 'tag of the image (<version>-<variant>)' },
  },
  details: 'The line it prints, <image repository>@sha256:…, is what CDK, Pulumi and slipway render take as the image.',
  run: async (given, terminal) => {
    const { pushImage } = await import('../image/index.js');
    terminal.out(await pushImage(given.argument('image repository'), await readBuildOptions(given, terminal)));
  },
};
