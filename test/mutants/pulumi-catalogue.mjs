const CATALOGUE_TEST = 'test/spec/instance-catalog.test.ts';
const POOL_TEST = 'test/spec/gpu-pool.test.ts';
const COST_TEST = 'test/spec/cost.test.ts';

export const MUTANTS = [
  {
    name: 'a type of another cloud is taken for one of this',
    file: 'runtime/spec/instance-catalog/index.ts',
    find: '(cloud === undefined || facts.cloud === cloud)',
    replace: '(cloud === undefined || facts.cloud.length > 0)',
    test: { file: CATALOGUE_TEST, name: 'g2-standard-4 is not a type of aws' },
  },
  {
    name: 'a replica that nobody placed is sized by whatever cloud comes first',
    file: 'runtime/spec/sizing.ts',
    find: "instanceTypesOf('aws').find(",
    replace: "instanceTypesOf('gcp').find(",
    test: { file: CATALOGUE_TEST, name: 'a replica may be sized by a type of any cloud' },
  },
  {
    name: 'the placement of a pool does not say its machines',
    file: 'runtime/spec/kubernetes/gpu-pool.ts',
    find: '      instanceTypes: [...instanceTypes],\n',
    replace: '',
    test: { file: POOL_TEST, name: 'is found by the label of the pool, past the taint of every GPU pool' },
  },
  {
    name: 'a missing price is taken for nothing',
    file: 'runtime/spec/cost.ts',
    find: 'if (noPriceFor.length > 0) return { noPriceFor };',
    replace: 'if (noPriceFor.length > 9) return { noPriceFor };',
    test: { file: COST_TEST, name: 'is not made up' },
  },
  {
    name: 'a day has as many hours as a night',
    file: 'runtime/spec/cost.ts',
    find: 'const HOURS_A_DAY = 24;',
    replace: 'const HOURS_A_DAY = 12;',
    test: { file: COST_TEST, name: 'is machines times price an hour, and times 24 a day' },
  },
  {
    name: 'a price below zero is taken',
    file: 'runtime/spec/prices.ts',
    find: 'price >= 0 && ',
    replace: '',
    test: { file: COST_TEST, name: 'a price that is none, or of a type that nobody knows, is refused' },
  },
];
