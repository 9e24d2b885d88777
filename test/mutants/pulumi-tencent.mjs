const contract = 'test/pulumi/clouds/contract.test.ts';
const at = (name) => ({ file: contract, name: `on 'tencent' ${name}` });

export const MUTANTS = [
  {
    name: 'a resource of Tencent Cloud is of no registered package',
    file: 'pulumi/tencent/provider.ts',
    find: 'opts }, false, reference());\n  }\n}\n\n/** The provider itself',
    replace: 'opts }, false);\n  }\n}\n\n/** The provider itself',
    test: at('every resource is one of the package'),
  },
  {
    name: 'disks with models are not encrypted on TKE',
    file: 'pulumi/tencent/gpu-instance-group.ts',
    find: 'encrypt: true,',
    replace: 'encrypt: false,',
    test: at('a GPU instance group keeps pods from the credentials of the machine, and encrypts its disks'),
  },
  {
    name: 'an update writes the number of TKE’s machines again',
    file: 'pulumi/tencent/gpu-instance-group.ts',
    find: "ignoreChanges: ['desiredCapacity']",
    replace: 'ignoreChanges: []',
    test: at('a GPU instance group has the machines'),
  },
  {
    name: 'machines of TKE have a public address',
    file: 'pulumi/tencent/gpu-instance-group.ts',
    find: 'publicIpAssigned: false,',
    replace: 'publicIpAssigned: true,',
    test: at('spot machines have a price'),
  },
  {
    name: 'machines of TKE stay when their pool goes',
    file: 'pulumi/tencent/gpu-instance-group.ts',
    find: 'deleteKeepInstance: false,',
    replace: 'deleteKeepInstance: true,',
    test: at('spot machines have a price'),
  },
  {
    name: 'a namespace of TCR is public',
    file: 'pulumi/tencent/image-repository.ts',
    find: 'isPublic: false,',
    replace: 'isPublic: true,',
    test: at('an image repository does not let tags move'),
  },
  {
    name: 'tags of TCR move',
    file: 'pulumi/tencent/image-repository.ts',
    find: 'disabled: false,',
    replace: 'disabled: true,',
    test: at('an image repository does not let tags move'),
  },
  {
    name: 'a bucket of COS is public',
    file: 'pulumi/tencent/model-bucket.ts',
    find: "acl: 'private',",
    replace: "acl: 'public-read',",
    test: at('buckets are private'),
  },
  {
    name: 'a bucket of COS is read over plain HTTP',
    file: 'pulumi/tencent/model-bucket.ts',
    find: "Effect: 'deny',",
    replace: "Effect: 'allow',",
    test: at('a model bucket late is private'),
  },
  {
    name: 'every service account of a cluster may take a role of CAM',
    file: 'pulumi/tencent/workload-identity.ts',
    find: "'oidc:sub': [pulumi.interpolate`system:serviceaccount:${namespace}:${serviceAccountName}`],",
    replace: '',
    test: at('a role asks for tokens of one service account'),
  },
  {
    name: 'readers read the whole bucket in COS',
    file: 'pulumi/tencent/workload-identity.ts',
    find: '${bucket.name}/${modelPrefix(name)}*`',
    replace: '${bucket.name}/*`',
    test: at('a workload identity reads the models it names'),
  },
  {
    name: 'readers list the bucket in COS',
    file: 'pulumi/tencent/workload-identity.ts',
    find: "'name/cos:HeadObject'],",
    replace: "'name/cos:HeadObject', 'name/cos:GetBucket'],",
    test: at('a workload identity reads the models it names'),
  },
];
