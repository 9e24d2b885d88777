export const MUTANTS = [
  {
    name: 'the model bucket may be made public',
    file: 'cdk/model-bucket.ts',
    find: '      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,\n',
    replace: '      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ACLS_ONLY,\n',
    test: {
      file: 'test/cdk/model-bucket.test.ts',
      name: 'blocks every kind of public access even when the caller passes no props',
    },
  },
  {
    name: 'a reader of one model reads the bucket',
    file: 'cdk/grant-read-objects.ts',
    find: 'resourceArns: keys.map((key) => bucket.arnForObjects(key)),',
    replace: "resourceArns: keys.map(() => bucket.arnForObjects('*')),",
    test: {
      file: 'test/cdk/model-bucket.test.ts',
      name: "lets a reader get objects under one model's prefix, and do nothing else",
    },
  },
  {
    name: 'a rollout takes the rights of the running replicas away',
    file: 'cdk/model-rights.ts',
    find: '`ReadModels${digest}`',
    replace: '`ReadModels`',
    test: { file: 'test/cdk/model.test.ts', name: 'another model is another policy beside the same role' },
  },
];
