import { defineConfig } from 'vitest/config';

const isLong = process.env['TEST_LONG'] === '1';

export default defineConfig({
  test: {
    // Long tests take minutes each: npm run test:long.
    include: isLong ? ['test/**/*.long.test.ts'] : ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**', ...(isLong ? [] : ['test/**/*.long.test.ts'])],
    environment: 'node',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // The built-in template validation costs two seconds and 310 MB per process; one CDK test turns it on by itself.
    env: { CDK_VALIDATION: 'false' },
    maxWorkers: 2,
    // A snapshot that nobody reviewed is no promise: -u writes it, and its absence fails.
    update: 'none',
    reporters: ['default', './test/reporter.mjs'],
  },
  resolve: {
    alias: [
      { find: /^slipway$/, replacement: new URL('./runtime/spec/index.ts', import.meta.url).pathname },
      { find: /^slipway\/runtime$/, replacement: new URL('./runtime/index.ts', import.meta.url).pathname },
      { find: /^slipway\/testing$/, replacement: new URL('./runtime/testing/index.ts', import.meta.url).pathname },
      {
        find: /^slipway\/(cdk|cdk\/validation|pulumi|pulumi\/(?:aws|gcp|azure|alibaba|tencent|image|plugin|policy))$/,
        replacement: new URL('./', import.meta.url).pathname + '$1/index.ts',
      },
    ],
  },
});
