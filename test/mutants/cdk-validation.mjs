const RULES = 'test/cdk/validation/rules.test.ts';

export const MUTANTS = [
  {
    name: 'a rule fires at what only deployment knows',
    file: 'cdk/validation/template-view.ts',
    find: '  if (isIntrinsic(value)) return [value];\n',
    replace: '',
    test: { file: RULES, name: 'NO_CIRCUIT_BREAKER finds nothing without the mistake, nor in what it cannot read' },
  },
  {
    name: 'one branch of a condition is not looked at',
    file: 'cdk/validation/template-view.ts',
    find: 'choice.slice(1).flatMap(branchesOf)',
    replace: 'choice.slice(2).flatMap(branchesOf)',
    test: { file: RULES, name: 'START_PERIOD_TOO_LONG finds the mistake, and no other rule finds one' },
  },
  {
    name: 'machines that answer IMDSv1 pass',
    file: 'cdk/validation/rules/machine-rules.ts',
    find: "if (tokens.length > 0 && !tokens.includes('optional')) return undefined;",
    replace: 'if (tokens.length > 0) return undefined;',
    test: { file: RULES, name: 'IMDS_V1 finds the mistake, and no other rule finds one' },
  },
  {
    name: 'tasks that may ask for the role of their machine pass',
    file: 'cdk/validation/rules/machine-rules.ts',
    find: "script.includes('ECS_AWSVPC_BLOCK_IMDS=true')",
    replace: "script.includes('ECS_')",
    test: { file: RULES, name: 'TASKS_REACH_IMDS finds the mistake, and no other rule finds one' },
  },
  {
    name: 'a role that may list a whole bucket passes',
    file: 'cdk/validation/rules/task-rules.ts',
    find: '/^s3:(\\*|List|GetBucket)/',
    replace: '/^s3:(\\*)/',
    test: { file: RULES, name: 'BUCKET_WIDE_MODEL_GRANT finds the mistake, and no other rule finds one' },
  },
  {
    name: 'a replica with a public address passes',
    file: 'cdk/validation/rules/task-rules.ts',
    find: "if (!address.includes('ENABLED')) return undefined;",
    replace: "if (!address.includes('PUBLIC')) return undefined;",
    test: { file: RULES, name: 'PUBLIC_TASK finds the mistake, and no other rule finds one' },
  },
  {
    name: 'errors of rules do not end a synthesis',
    file: 'cdk/validation/inference-rules.ts',
    find: "success: violations.every(({ severity }) => severity !== 'error')",
    replace: 'success: true',
    test: {
      file: 'test/cdk/validation/inference-rules.test.ts',
      name: 'an error ends the synthesis, names the construct and says how to accept it',
    },
  },
  {
    name: 'nested stacks are not looked at',
    file: 'cdk/validation/inference-rules.ts',
    find: 'construct.nestedStackParent === undefined) return [];',
    replace: 'construct.nestedStackParent !== undefined) return [];',
    test: {
      file: 'test/cdk/validation/inference-rules.test.ts',
      name: 'templates of stages and nested stacks are looked at',
    },
  },
  {
    name: 'the guard looks at each group by itself',
    file: 'cdk/cost-guard.ts',
    find: 'if (limit === undefined || total <= limit) return [];',
    replace: 'if (limit === undefined || groups.every(({ max }) => max <= limit)) return [];',
    test: {
      file: 'test/cdk/cost-guard.test.ts',
      name: 'adds up machines with GPUs over all stacks, and says where they are',
    },
  },
  {
    name: 'a service walks over the whole app',
    file: 'cdk/app-registry.ts',
    find: '  const earlier = claims.get(',
    replace: '  owner.node.root.node.findAll();\n  const earlier = claims.get(',
    test: {
      file: 'test/cdk/synth-time.test.ts',
      name: 'every service costs as much as the one before it: nothing walks over the whole app for each',
    },
  },
  {
    name: 'a golden template forgets user data and digests',
    file: 'runtime/testing/golden-template.ts',
    find: '(?=\\.[A-Za-z0-9])/g',
    replace: '/g',
    test: {
      file: 'test/testing/golden-template.test.ts',
      name: 'keeps digests, logical ids and user data, and the order of keys',
    },
  },
];
