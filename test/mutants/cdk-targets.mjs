export const MUTANTS = [
  {
    name: 'a variable of SageMaker is measured in characters',
    file: 'cdk/sagemaker-model.ts',
    find: 'const bytes = Buffer.byteLength(value);',
    replace: 'const bytes = value.length;',
    test: {
      file: 'test/cdk/sagemaker-endpoint.test.ts',
      name: 'takes the files of a model by digest while they are few, and refuses a list that is longer than a variable',
    },
  },
  {
    name: 'SageMaker serves a version that was rolled out without its digest',
    file: 'cdk/sagemaker-model.ts',
    find: 'const manifestSha256 = location.manifestSha256 ?? manifest?.sha256;',
    replace: 'const manifestSha256 = manifest?.sha256;',
    test: {
      file: 'test/cdk/sagemaker-endpoint.test.ts',
      name: 'a version that deployment chooses moves folder, version and digest together, and makes another model',
    },
  },
  {
    name: 'containers on SageMaker have a network',
    file: 'cdk/sagemaker-model.ts',
    find: 'enableNetworkIsolation: input.networkIsolation ?? true,',
    replace: 'enableNetworkIsolation: input.networkIsolation ?? false,',
    test: {
      file: 'test/cdk/sagemaker-endpoint.test.ts',
      name: 'the model lies beside the container, is named by its digest, and the container has no network',
    },
  },
  {
    name: 'endpoints of other accounts have the role',
    file: 'cdk/sagemaker-model.ts',
    find: "      StringEquals: { 'aws:SourceAccount': stack.account },\n",
    replace: '',
    test: {
      file: 'test/cdk/sagemaker-endpoint.test.ts',
      name: 'the role is for endpoints of this account, reads one model, pulls one image and writes logs, and nothing else',
    },
  },
  {
    name: 'SageMaker lists the whole bucket',
    file: 'cdk/sagemaker-model.ts',
    find: "      conditions: { StringLike: { 's3:prefix': `${modelPrefix(spec.name)}*` } },\n",
    replace: '',
    test: {
      file: 'test/cdk/sagemaker-endpoint.test.ts',
      name: 'the role is for endpoints of this account, reads one model, pulls one image and writes logs, and nothing else',
    },
  },
  {
    name: 'a model on SageMaker is held to no digest',
    file: 'cdk/sagemaker-model.ts',
    find: '    ...(manifestSha256 === undefined ? {} : { manifestSha256 }),\n',
    replace: '',
    test: {
      file: 'test/cdk/sagemaker-endpoint.test.ts',
      name: 'the model lies beside the container, is named by its digest, and the container has no network',
    },
  },
  {
    name: 'an update of an endpoint stops machines under load',
    file: 'cdk/sagemaker-endpoint.ts',
    find: 'retainAllVariantProperties: true,',
    replace: 'retainAllVariantProperties: false,',
    test: {
      file: 'test/cdk/sagemaker-endpoint.test.ts',
      name: 'an update keeps the number of machines that the autoscaler chose',
    },
  },
  {
    name: 'pods of every service account have the role',
    file: 'runtime/spec/kubernetes/pod-identity.ts',
    find: "    'aws:RequestTag/kubernetes-service-account': serviceAccount,\n",
    replace: '',
    test: {
      file: 'test/cdk/eks.test.ts',
      name: 'pods of this service account of this namespace and cluster have the role, and nobody else',
    },
  },
  {
    name: 'pods on EKS start before their network policy',
    file: 'cdk/eks-inference-service.ts',
    find: 'addDependency(manifests.serviceAccount, manifests.networkPolicy, this.podIdentity)',
    replace: 'addDependency(manifests.serviceAccount, this.podIdentity)',
    test: {
      file: 'test/cdk/eks.test.ts',
      name: 'pods start once their account, their network policy and their identity are there',
    },
  },
  {
    name: 'pods take the credentials of their machine',
    file: 'cdk/eks-gpu-node-group.ts',
    find: 'httpPutResponseHopLimit: 1,',
    replace: 'httpPutResponseHopLimit: 2,',
    test: {
      file: 'test/cdk/eks.test.ts',
      name: 'machines speak the second metadata version, to nobody one hop away, and encrypt their disks',
    },
  },
  {
    name: 'machines of Karpenter do not encrypt their disks',
    file: 'cdk/karpenter-gpu-pool.ts',
    find: 'encrypted: true,',
    replace: 'encrypted: false,',
    test: {
      file: 'test/cdk/eks.test.ts',
      name: 'machines are closed like those of a node group, and keep models on their own disks',
    },
  },
  {
    name: 'machines of Batch speak the first metadata version',
    file: 'cdk/gpu-job-queue.ts',
    find: 'requireImdsv2: true,',
    replace: 'requireImdsv2: false,',
    test: {
      file: 'test/cdk/batch.test.ts',
      name: 'machines speak the second metadata version, keep nodes of jobs from their role, and encrypt their disks',
    },
  },
  {
    name: 'a job of Batch writes where it likes',
    file: 'cdk/batch-inference-job.ts',
    find: 'readonlyRootFilesystem: true,',
    replace: 'readonlyRootFilesystem: false,',
    test: {
      file: 'test/cdk/batch.test.ts',
      name: 'the job asks for what the plan gives a replica, and runs as the image’s user on a file system that it cannot write',
    },
  },
  {
    name: 'who writes below a prefix writes everywhere',
    file: 'cdk/grant-write-objects.ts',
    find: 'prefixes.map((prefix) => bucket.arnForObjects(`${prefix}*`))',
    replace: "prefixes.map(() => bucket.arnForObjects('*'))",
    test: {
      file: 'test/cdk/batch.test.ts',
      name: 'the job may read its requests, its results and its model, write results, and nothing else',
    },
  },
];
