export const MUTANTS = [
  {
    name: 'an outage that leaves no data wakes nobody',
    file: 'cdk/service-alarms.ts',
    find: 'treatMissingData: cloudwatch.TreatMissingData.BREACHING,',
    replace: 'treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,',
    test: {
      file: 'test/cdk/service-alarms.test.ts',
      name: 'replicas that are not there are noticed, also when there is none to be counted',
    },
  },
];
