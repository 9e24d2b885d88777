export const MUTANTS = [
  {
    name: 'a gate that fails lets its candidate through',
    file: 'cdk/pipeline-definition.ts',
    find: "[exit]: choice(failure, [['$exitCode = 0', next]]),",
    replace: "[exit]: choice(next, [['$exitCode = 0', next]]),",
    test: { file: 'test/cdk/model-pipeline.test.ts', name: 'a gate that ends with an exit status publishes nothing' },
  },
  {
    name: 'a task that does not say how it ended has succeeded',
    file: 'cdk/pipeline-definition.ts',
    find: '$states.result.Containers[0].ExitCode : -1',
    replace: '$states.result.Containers[0].ExitCode : 0',
    test: { file: 'test/cdk/model-pipeline.test.ts', name: 'a gate that ends with no exit status publishes nothing' },
  },
  {
    name: 'a pipeline takes whatever key it is told',
    file: 'cdk/pipeline-definition.ts',
    find: '$substring($key, 0, ${source.prefix.length}) = ${quote(source.prefix)} and ',
    replace: '',
    test: {
      file: 'test/cdk/model-pipeline.test.ts',
      name: 'input that is no candidate of this pipeline is refused: {"key":"elsewhere/model.onnx"}',
    },
  },
  {
    name: 'what a run publishes starts the next one',
    file: 'cdk/model-pipeline.ts',
    find: '(prefix.startsWith(own) || own.startsWith(prefix))',
    replace: 'own.startsWith(prefix)',
    test: {
      file: 'test/cdk/model-pipeline.test.ts',
      name: 'a source that is no folder, or the place where versions are published',
    },
  },
  {
    name: 'a gate may publish',
    file: 'cdk/model-pipeline.ts',
    find: 'models.grants.handOnResults(judge, name);',
    replace: 'models.grants.publishModel(judge, name);',
    test: {
      file: 'test/cdk/model-pipeline.test.ts',
      name: 'steps may read candidates and hand on results, and publish nothing',
    },
  },
  {
    name: 'steps hand on results over versions',
    file: 'cdk/model-bucket-grants.ts',
    find: 'const runs = `${modelPrefix(model)}${PIPELINE_RUNS_FOLDER}`;',
    replace: 'const runs = modelPrefix(model);',
    test: {
      file: 'test/cdk/model-pipeline.test.ts',
      name: 'steps may read candidates and hand on results, and publish nothing',
    },
  },
  {
    name: 'a version is published with the report of what may fail',
    file: 'cdk/pipeline-order.ts',
    find: 'evaluates?.model === publishes && !allowFailure',
    replace: 'evaluates?.model === publishes',
    test: {
      file: 'test/cdk/model-pipeline.test.ts',
      name: 'a version is published with the evaluation of its very model',
    },
  },
  {
    name: 'a label follows a rollout that a newer version overtook',
    file: 'cdk/pipeline-definition.ts',
    find: "choice('Overtaken', [",
    replace: "choice(promotion === undefined ? 'Overtaken' : entryOf(promotion), [",
    test: { file: 'test/cdk/model-pipeline.test.ts', name: 'a label follows a rollout that is kept, and no other' },
  },
  {
    name: 'the name of a result leads out of the folder',
    file: 'runtime/cli/step-results.ts',
    find: " && part !== '.' && part !== '..'",
    replace: '',
    test: { file: 'test/cli/image-command.test.ts', name: 'a result whose name leads out of its folder is refused' },
  },
  {
    name: 'steps read the whole bucket of candidates',
    file: 'cdk/model-pipeline.ts',
    find: 'grantReadObjects(taskRole, bucket, [`${prefix}*`]);',
    replace: "grantReadObjects(taskRole, bucket, ['*']);",
    test: {
      file: 'test/cdk/model-pipeline.test.ts',
      name: 'steps may read candidates and hand on results, and publish nothing',
    },
  },
  {
    name: 'steps write to their root file system',
    file: 'cdk/cli-task.ts',
    find: '      readonlyRootFilesystem: true,\n',
    replace: '      readonlyRootFilesystem: false,\n',
    test: {
      file: 'test/cdk/model-pipeline.test.ts',
      name: 'a task runs the command of the image, unprivileged, on a read-only root, reached by nobody',
    },
  },
  {
    name: 'an argument is evaluated with the text of the event',
    file: 'cdk/pipeline-step.ts',
    find: "each.startsWith('{%')",
    replace: "each.startsWith('{%%')",
    test: {
      file: 'test/cdk/model-pipeline.test.ts',
      name: 'an id that is no name of a state, and an argument that Step Functions would evaluate',
    },
  },
  {
    name: 'a step takes files that changed since the gate saw them',
    file: 'runtime/cli/source-files.ts',
    find: ', IfMatch: etag }',
    replace: ' }',
    test: {
      file: 'test/cli/image-command.test.ts',
      name: 'that changed since they were listed are refused: nobody publishes what was not gated',
    },
  },
  {
    name: 'the name of an object leads out of the folder',
    file: 'runtime/cli/source-files.ts',
    find: "/^[^/\\\\\\0]{1,255}$/.test(name) && name !== '.' && name !== '..'",
    replace: '/^[^\\\\\\0]{1,255}$/.test(name)',
    test: {
      file: 'test/cli/image-command.test.ts',
      name: 'the name of an object is one of a file and leads nowhere else: ".."',
    },
  },
];
