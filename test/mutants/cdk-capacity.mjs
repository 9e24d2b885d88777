export const MUTANTS = [
  {
    name: 'machines speak the first metadata version',
    file: 'cdk/gpu-instance-group.ts',
    find: 'requireImdsv2: true,',
    replace: 'requireImdsv2: false,',
    test: { file: 'test/cdk/gpu-instance-group.test.ts', name: 'asks for the second version of the metadata service' },
  },
];
