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
  {
    name: 'an empty service counts a waiting message against replicas that run',
    file: 'cdk/queue-scaling.ts',
    find: "expression: 'IF(FILL(replicas, 0) > 0, 0, messages)',",
    replace: "expression: 'messages',",
    test: {
      file: 'test/cdk/scaling.test.ts',
      name: 'one message brings the first replica, and no second one before that had the time to come',
    },
  },
  {
    name: 'a service sleeps while somebody holds a message',
    file: 'cdk/queue-scaling.ts',
    find: "expression: 'waiting + held',",
    replace: "expression: 'waiting',",
    test: {
      file: 'test/cdk/scaling.test.ts',
      name: 'when nothing has waited and nobody has held a message for five minutes, the last replica goes',
    },
  },
  {
    name: 'a service that keeps a replica is put to sleep',
    file: 'cdk/queue-scaling.ts',
    find: 'if (target.watched.plan.scaling.minReplicas === 0) sleep',
    replace: 'sleep',
    test: { file: 'test/cdk/scaling.test.ts', name: 'a service that keeps a replica is not put to sleep' },
  },
  {
    name: 'the group without traffic leaves the requests of the other uncounted',
    file: 'cdk/scaling.ts',
    find: "expression: groups.map((_, i) => `FILL(target${i}, 0)`).join(' + '),",
    replace: "expression: groups.map((_, i) => `target${i}`).join(' + '),",
    test: {
      file: 'test/cdk/scaling.test.ts',
      name: 'requests are counted over every target group, and one without traffic counts as none',
    },
  },
  {
    name: 'queue and saturation scale one service',
    file: 'cdk/service-scaling.ts',
    find: "if (signals.includes('queue') && signals.length > 1) {",
    replace: 'if (signals.length > 9) {',
    test: { file: 'test/cdk/scaling.test.ts', name: 'signals that contradict each other or the service are refused' },
  },
  {
    name: 'somebody is woken because a sleeping service has no replica',
    file: 'runtime/spec/alarm-rules.ts',
    find: '(scaling.minReplicas === 0',
    replace: '(scaling.minReplicas < 0',
    test: {
      file: 'test/cdk/scaling.test.ts',
      name: 'where none may be the right number of replicas, nobody is woken because there is none',
    },
  },
  {
    name: 'who waits for memory keeps a connection open until S3 cuts it, which costs a message its deliveries',
    file: 'runtime/worker/infer-and-store.ts',
    find: '  found.discard();\n  const release',
    replace: '  const release',
    test: {
      file: 'test/worker/waiting-inputs.test.ts',
      name: 'who waits for memory holds no connection that would be cut off meanwhile, and reads the input when there is room',
    },
  },
  {
    name: 'a replica hoards messages that only wait for memory',
    file: 'runtime/worker/queue-worker.ts',
    find: 'tools.inputs.isContested ? 0 : concurrency',
    replace: 'concurrency',
    test: {
      file: 'test/worker/waiting-inputs.test.ts',
      name: 'while messages wait for memory no more are received, for other replicas may have room',
    },
  },
  {
    name: 'an input that grew takes memory that it did not ask for',
    file: 'runtime/worker/infer-and-store.ts',
    find: 'if (object.bytes <= found.bytes) return { object, release };',
    replace: 'return { object, release };',
    test: {
      file: 'test/worker/waiting-inputs.test.ts',
      name: 'an input that grew while it waited takes no more memory than it asked for: it is tried again',
    },
  },
  {
    name: 'other queues put their dead letters among the requests',
    file: 'cdk/async-queue.ts',
    find: '    redriveAllowPolicy: { redrivePermission: sqs.RedrivePermission.DENY_ALL },\n',
    replace: '',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'no other queue may put its dead letters among the requests',
    },
  },
  {
    name: 'who reads results of an imported service reads the whole bucket',
    file: 'cdk/imported-async-service.ts',
    find: '{ bucket: this.results, prefix: this.resultsPrefix }',
    replace: "{ bucket: this.results, prefix: '' }",
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'a service of another app is sent to and read from by its queue and its bucket, and by nothing else',
    },
  },
  {
    name: 'queues take messages in plain text',
    file: 'cdk/async-queue.ts',
    find: 'enforceSSL: true,',
    replace: 'enforceSSL: false,',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'queues are encrypted and reached over TLS alone, and a message that nobody can answer is put aside',
    },
  },
  {
    name: 'queues keep messages unencrypted',
    file: 'cdk/async-queue.ts',
    find: '{ encryption: sqs.QueueEncryption.SQS_MANAGED }',
    replace: '{ encryption: sqs.QueueEncryption.UNENCRYPTED }',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'queues are encrypted and reached over TLS alone, and a message that nobody can answer is put aside',
    },
  },
  {
    name: 'a queue of the author may deliver a message for ever',
    file: 'cdk/async-queue.ts',
    find: 'if (found !== undefined) return found;',
    replace: 'if (queue !== undefined) return found ?? queue;',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'a queue that puts nothing aside is refused: a message that nobody can answer would come back for ever',
    },
  },
  {
    name: 'a kept queue loses the policy that asks for TLS',
    file: 'cdk/async-queue.ts',
    find: 'policy?.applyRemovalPolicy(common.removalPolicy);',
    replace: 'void policy;',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'in production what holds messages or results is kept when the service is deleted, in development nothing is',
    },
  },
  {
    name: 'a worker may do anything with its queue',
    file: 'cdk/async-queue.ts',
    find: "actions: ['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:ReceiveMessage'],",
    replace: "actions: ['sqs:*'],",
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'a replica may receive, hide and delete messages, get inputs and put results, and nothing else',
    },
  },
  {
    name: 'a worker may write anywhere in the bucket of results',
    file: 'cdk/grant-write-objects.ts',
    find: 'resourceArns: prefixes.map((prefix) => bucket.arnForObjects(`${prefix}*`)),',
    replace: "resourceArns: [bucket.arnForObjects('*')].slice(0, prefixes.length),",
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'a replica may receive, hide and delete messages, get inputs and put results, and nothing else',
    },
  },
  {
    name: 'results may be made public',
    file: 'cdk/async-results.ts',
    find: '    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,\n',
    replace: '    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ACLS_ONLY,\n',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'results lie in a private, encrypted bucket for thirty days, and EventBridge hears of each',
    },
  },
  {
    name: 'results travel in plain text',
    file: 'cdk/async-results.ts',
    find: '    enforceSSL: true,\n    minimumTLSVersion: 1.2,\n',
    replace: '',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'results lie in a private, encrypted bucket for thirty days, and EventBridge hears of each',
    },
  },
  {
    name: "the server of a queue's replica listens to the network",
    file: 'cdk/async-inference-service.ts',
    find: "environment: { SLIPWAY_HOST: '127.0.0.1', ...props.environment },",
    replace: 'environment: { ...props.environment },',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'nobody can call it: there is no load balancer, no rule lets anybody in, and the server listens to its neighbour alone',
    },
  },
  {
    name: 'replicas start before they may read their queue',
    file: 'cdk/async-inference-service.ts',
    find: 'needs: [models.policy, rights],',
    replace: 'needs: [models.policy],',
    test: {
      file: 'test/cdk/async-inference-service.test.ts',
      name: 'a replica may receive, hide and delete messages, get inputs and put results, and nothing else',
    },
  },
  {
    name: 'a message may name an input that only the replica may read',
    file: 'runtime/worker/infer-and-store.ts',
    find: 'if (!tools.inputPlaces.some((place) => input.uri.startsWith(place))) {',
    replace: 'if (tools.inputPlaces.length > 99) {',
    test: {
      file: 'test/worker/queue-worker.test.ts',
      name: 'a request that is at fault itself has its reason for a result, and does not come again',
    },
  },
  {
    name: 'an input of any size is read into memory',
    file: 'runtime/worker/infer-and-store.ts',
    find: 'if (found.bytes > maxBodyBytes) {',
    replace: 'if (found.bytes > 2 ** 40) {',
    test: {
      file: 'test/worker/queue-worker.test.ts',
      name: 'a request that is at fault itself has its reason for a result, and does not come again',
    },
  },
  {
    name: "a message's id may leave the place of results",
    file: 'runtime/worker/queue-message.ts',
    find: 'const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;',
    replace: 'const ID = /^.{1,128}$/;',
    test: {
      file: 'test/worker/queue-message.test.ts',
      name: 'what would leave the place of results or of the model is no name',
    },
  },
  {
    name: "a message's content type may bring headers of its own",
    file: 'runtime/worker/queue-message.ts',
    find: "!(typeof contentType === 'string' && CONTENT_TYPE.test(contentType))",
    replace: "typeof contentType !== 'string'",
    test: { file: 'test/worker/queue-message.test.ts', name: 'is no content type: it becomes a header' },
  },
  {
    name: 'whole numbers of 64 bits are rounded on their way',
    file: 'runtime/worker/queue-message.ts',
    find: "return { json: rawJsonValue(text, ['input', 'json'])! };",
    replace: "return { json: text === '' ? rawJsonValue(text, [])! : JSON.stringify(input['json']) };",
    test: {
      file: 'test/worker/queue-worker.test.ts',
      name: 'binary tensors go in and out, by a message or by what the object says of itself, and whole numbers lose nothing',
    },
  },
  {
    name: 'a busy server costs messages their deliveries',
    file: 'runtime/worker/infer-and-store.ts',
    find: 'const BUSY_TRIES = 8;',
    replace: 'const BUSY_TRIES = 0;',
    test: {
      file: 'test/worker/queue-worker.test.ts',
      name: 'a server that is busy costs a message none of its deliveries',
    },
  },
  {
    name: 'messages are taken before the server can answer them',
    file: 'runtime/worker/queue-worker.ts',
    find: '      await tools.server.waitUntilReady(signal);\n',
    replace: '',
    test: {
      file: 'test/worker/queue-worker.test.ts',
      name: 'a replica whose model is not ready leaves messages to others',
    },
  },
  {
    name: 'a worker that is told to stop drops what it holds',
    file: 'runtime/worker/main.mts',
    find: 'process.on(signal, () => worker.stop());',
    replace: 'process.on(signal, () => process.exit(0));',
    test: {
      file: 'test/worker/queue-worker.test.ts',
      name: 'a replica that is told to stop answers what it holds, receives no more and ends well',
    },
  },
  {
    name: 'an interrupted job answers everything again',
    file: 'runtime/worker/batch-run.ts',
    find: "if (await hasResult(result, tools)) return 'skipped';",
    replace: 'await hasResult(result, tools);',
    test: {
      file: 'test/worker/batch-run.test.ts',
      name: 'a job that was interrupted ends with an error, and the next attempt does what is left',
    },
  },
  {
    name: 'a start is counted once a period',
    file: 'runtime/server/metrics/period-totals.ts',
    find: '    this.hasToldColdStart ||= isColdStartNew;\n',
    replace: '',
    test: { file: 'test/server/cloudwatch.test.ts', name: 'a start is told once, so that its samples can be counted' },
  },
  {
    name: 'a GPU that fails ends the replica',
    file: 'runtime/server/cloudwatch-publisher.ts',
    find: 'await Promise.resolve(read()).catch(() => undefined);',
    replace: 'await read();',
    test: {
      file: 'test/server/cloudwatch.test.ts',
      name: 'a GPU that fails or does not answer costs lines, never the replica',
    },
  },
  {
    name: 'a message is delivered again while it is answered',
    file: 'runtime/worker/queue-worker.ts',
    find: 'else void this.options.queue.hide(receipt, visibilitySeconds).catch(() => {});',
    replace: '',
    test: {
      file: 'test/worker/queue-worker.test.ts',
      name: 'a message that takes longer than it is hidden stays hidden while it is answered',
    },
  },
];
