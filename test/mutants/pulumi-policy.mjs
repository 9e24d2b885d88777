// Patches that each break one promise of the policies, of programs in other languages and of the image built by Pulumi.
export const MUTANTS = [
  {
    name: 'a digest anywhere in an image name will do',
    file: 'pulumi/policy/rules/workload-rules.ts',
    find: '!/@sha256:[0-9a-f]{64}$/.test(image)',
    replace: "!image.includes(':')",
    test: { file: 'test/pulumi/policy-rules.test.ts', name: "image-by-digest says container 'server' runs" },
  },
  {
    name: 'a trusted registry trusts every name that begins like it',
    file: 'pulumi/policy/rules/workload-rules.ts',
    find: "return image.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);",
    replace: 'return image.startsWith(prefix);',
    test: { file: 'test/pulumi/policy-rules.test.ts', name: 'trusted-registries says trusted are' },
  },
  {
    name: 'a policy of another namespace guards',
    file: 'pulumi/policy/rules/workload-rules.ts',
    find: '    namespaceOf(props) === namespaceOf(workload.props) &&\n',
    replace: '',
    test: { file: 'test/pulumi/policy-rules.test.ts', name: 'network-policy says no NetworkPolicy' },
  },
  {
    name: 'an unknown value is taken for a good one',
    file: 'pulumi/policy/check-resources.ts',
    find: 'if (isUnknown(field)) throw new UnknownRead();',
    replace: 'if (isUnknown(field)) return undefined;',
    test: {
      file: 'test/pulumi/policy-rules.test.ts',
      name: 'a value that is known only after deployment leaves the rules that read it undecided, and no other',
    },
  },
  {
    name: 'the access block of another bucket will do',
    file: 'pulumi/policy/rules/cloud-rules.ts',
    find: 'if (!companions.some(({ dependencies }) => dependencies.includes(urn))) {',
    replace: 'if (companions.length === 0) {',
    test: { file: 'test/pulumi/policy-rules.test.ts', name: 'bucket-not-public says has no BucketPublicAccessBlock' },
  },
  {
    name: 'the configuration of a policy pack is not asked',
    file: 'pulumi/policy/policies.ts',
    find: '{ ...defaults, ...args.getConfig<Partial<RuleSettings>>() })',
    replace: 'defaults)',
    build: 'libraries',
    test: {
      file: 'test/pulumi/policy-pack.test.ts',
      name: 'settings come from the program, and the configuration of the pack changes them and the levels',
    },
  },
  {
    name: 'the password of a registry stays plain',
    file: 'pulumi/image/runtime-image.ts',
    find: 'password: pulumi.secret(registry.password)',
    replace: 'password: registry.password',
    test: {
      file: 'test/pulumi/runtime-image.test.ts',
      name: 'tokens and passwords are secrets in the state, though the author forgot to say so',
    },
  },
  {
    name: 'a policy takes an API server that everybody reaches',
    file: 'pulumi/policy/rules/cluster-rules.ts',
    find: "const EVERYBODY = ['0.0.0.0/0', '::/0'];",
    replace: 'const EVERYBODY: string[] = [];',
    build: 'libraries',
    test: { file: 'test/pulumi/policy-rules.test.ts', name: 'cluster-endpoint-closed' },
  },
];
