export const MUTANTS = [
  {
    name: 'the load balancer lets everybody in',
    file: 'cdk/service-endpoint.ts',
    find: '    open: false,\n',
    replace: '    open: true,\n',
    test: {
      file: 'test/cdk/inference-service.test.ts',
      name: 'nobody may call the load balancer, and it is not on the internet',
    },
  },
  {
    name: 'a delete that does not end',
    file: 'cdk/inference-service.ts',
    find: '    if (capacity.mustOutlive !== undefined) cfnService.node.addDependency(capacity.mustOutlive);\n',
    replace: '',
    test: {
      file: 'test/cdk/gpu-instance-group.test.ts',
      name: 'a service on the group is created after the association',
    },
  },
  {
    name: 'replicas start before they may pull their image',
    file: 'cdk/inference-service.ts',
    find: '.node.addDependency(readModels, this.taskDefinition.obtainExecutionRole(), internetConnectivityEstablished);',
    replace: '.node.addDependency(readModels, internetConnectivityEstablished);',
    test: {
      file: 'test/cdk/inference-service.test.ts',
      name: 'replicas start once they can pull the image, read the model and reach the network',
    },
  },
  {
    name: 'ECS is told another environment than Kubernetes',
    file: 'cdk/task-definition.ts',
    find: '      AWS_REGION: Stack.of(scope).region,',
    replace: "      AWS_REGION: Stack.of(scope).region,\n      SLIPWAY_LOG_LEVEL: 'debug',",
    test: { file: 'test/parity/parity.test.ts', name: 'the environment' },
  },
];
