// Patches that each break one promise of the commands that render, deploy and verify a spec file.
export const MUTANTS = [
  {
    name: 'a file of somebody else is overwritten',
    file: 'runtime/cli/render-folder.ts',
    find: 'if (present !== undefined && !present.startsWith(MARK)) {',
    replace: 'if (present === MARK) {',
    test: { file: 'test/cli/render.test.ts', name: 'a deployment-digits.yaml of somebody else is not overwritten' },
  },
  {
    name: 'whatever an earlier list names is removed',
    file: 'runtime/cli/render-folder.ts',
    find: ' && contentOf(folder, name)?.startsWith(MARK));',
    replace: ' && contentOf(folder, name) !== undefined);',
    test: {
      file: 'test/cli/render.test.ts',
      name: 'removes what an earlier render wrote and is no object any more, and nothing else',
    },
  },
  {
    name: 'a list leads to another folder',
    file: 'runtime/cli/render-folder.ts',
    find: 'return names.filter((name) => /^[a-z0-9][a-z0-9.-]*\\.yaml$/.test(name));',
    replace: 'return names;',
    test: { file: 'test/cli/render.test.ts', name: 'a list that somebody wrote more into leads to no other folder' },
  },
  {
    name: 'a link is written through',
    file: 'runtime/cli/render-folder.ts',
    find: 'if (!found.isFile()) throw',
    replace: 'if (found.isFIFO()) throw',
    test: { file: 'test/cli/render.test.ts', name: 'a link is not written through' },
  },
  {
    name: 'a model may come by an image that a tag names',
    file: 'runtime/cli/service-objects.ts',
    find: '  if (mount?.image !== undefined) assertPinnedImage(mount.image, `models.${model.name}.image`);\n',
    replace: '',
    test: {
      file: 'test/cli/render.test.ts',
      name: 'mounts a model from an image, and refuses an image that a tag names',
    },
  },
  {
    name: 'a field that nobody knows is passed over',
    file: 'runtime/cli/spec-shape.ts',
    find: 'if (!Object.hasOwn(shape.fields, name)) {',
    replace: 'if (!Object.hasOwn(shape.fields, name)) {\n      continue;',
    test: { file: 'test/cli/spec-schema.test.ts', name: 'takes a file exactly where the reader does' },
  },
  {
    name: 'the schema lets fields through that exclude each other',
    file: 'runtime/cli/spec-schema.ts',
    find: 'not: { required: pair }',
    replace: 'anyOf: [{}, { required: pair }]',
    test: { file: 'test/cli/spec-schema.test.ts', name: 'takes a file exactly where the reader does' },
  },
  {
    name: 'without a passphrase the state is written all the same',
    file: 'runtime/cli/deploy/deploy-options.ts',
    find: 'if (names.some((name) => process.env[name] !== undefined)) return;',
    replace: 'return;',
    test: { file: 'test/cli/up.test.ts', name: 'without anything that encrypts the secrets of the state' },
  },
  {
    name: 'plugins are downloaded though nobody asked',
    file: 'runtime/cli/deploy/open-stack.ts',
    find: '...(installPlugins ? {} : {',
    replace: '...(!installPlugins ? {} : {',
    test: {
      file: 'test/cli/up.test.ts',
      name: 'that fails is quoted in one line, and is told to phone nowhere and to keep its state beside the spec file',
    },
  },
  {
    name: 'the path of a kubeconfig is the identity of a cluster',
    file: 'runtime/cli/deploy/service-program.ts',
    find: '    clusterIdentifier: context,\n',
    replace: '',
    test: {
      file: 'test/cli/up.test.ts',
      name: 'goes to the cluster that was named, by a provider that another path of its kubeconfig does not replace',
    },
  },
  {
    name: 'down deletes without being told to',
    file: 'runtime/cli/down.ts',
    find: "if (!given.flag('yes')) {",
    replace: "if (given.argument('spec file') === '') {",
    test: { file: 'test/cli/up.test.ts', name: 'slipway down deletes nothing unless it is told to, really' },
  },
  {
    name: 'the dry run stores the objects',
    file: 'runtime/cli/verify/dry-run.ts',
    find: "'--dry-run=server', ",
    replace: '',
    test: {
      file: 'test/cli/verify.test.ts',
      name: 'takes every object without storing one, of a namespace that is not there too',
    },
  },
  {
    name: 'fields that the API server does not know are let through',
    file: 'runtime/cli/verify/dry-run.ts',
    find: "'--validate=strict'",
    replace: "'--validate=warn'",
    test: {
      file: 'test/cli/verify.test.ts',
      name: 'that has no such kind, or no such field, fails the step with its own words',
    },
  },
  {
    name: 'an error of a rule is a warning',
    file: 'runtime/cli/verify/check-rules.ts',
    find: '(errors.length === 0 ? passed : failed)',
    replace: '(errors.length < 100 ? passed : failed)',
    test: {
      file: 'test/cli/verify.test.ts',
      name: 'that breaks a rule fails, and the line says which rule and where; with --except it does not',
    },
  },
  {
    name: 'a program of a cloud reads nothing of what was made',
    file: 'runtime/cli/verify/pulumi-runs.ts',
    find: 'const played = await clouds.onResource(resource, provider);',
    replace: 'const played = undefined as Awaited<ReturnType<typeof clouds.onResource>>;',
    test: { file: 'test/cli/verify-examples.test.ts', name: 'the program of azure-gpu' },
  },
];
