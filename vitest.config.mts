import { defineConfig } from 'vitest/config';

const isLong = process.env['TEST_LONG'] === '1';

const ALWAYS_OUT = ['**/node_modules/**', ...(isLong ? [] : ['test/**/*.long.test.ts'])];
// They run the CDK's command line, an emulator of AWS or servers.
const CDK_WITH_PROGRAMS = [
  'test/cdk/deploy-*.test.ts',
  'test/cdk/digits-example.test.ts',
  'test/cdk/failed-rollout.test.ts',
  'test/cdk/pipeline-tasks.test.ts',
];

export default defineConfig({
  test: {
    // Long tests take minutes each: npm run test:long.
    projects: isLong
      ? [{ extends: true, test: { name: 'long', include: ['test/**/*.long.test.ts'], exclude: ALWAYS_OUT } }]
      : [
          // Loading aws-cdk-lib takes a second, and these files leave nothing behind: all share what is loaded.
          {
            extends: true,
            test: {
              name: 'cdk',
              include: ['test/cdk/**/*.test.ts'],
              exclude: [...ALWAYS_OUT, ...CDK_WITH_PROGRAMS],
              isolate: false,
            },
          },
          {
            extends: true,
            test: {
              name: 'rest',
              include: ['test/!(cdk)/**/*.test.ts', ...CDK_WITH_PROGRAMS],
              exclude: ALWAYS_OUT,
              // The gate's machine is shared, and these run real processes against its clock. What passes on its second try
              // is named at the end of the run, so that it is mended, and does not stop what has nothing to do with it.
              retry: process.env['CI'] === 'true' ? 1 : 0,
            },
          },
        ],
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
