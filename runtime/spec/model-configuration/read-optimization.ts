import type { MessageReader } from './message-reader';
import type { Accelerator, Optimization } from './model-configuration';

const NOT_OURS = 'belongs to the TensorRT backend';

const DEFAULT_OPTIMIZATION: Optimization = Object.freeze({
  graphLevel: 'all',
  cudaGraphs: false,
  gpuAccelerators: Object.freeze([]),
});

export function readOptimization(reader: MessageReader): Optimization {
  const optimization = reader.child('optimization', (policy) => {
    policy.withoutEffect('priority', 'all models share the machine in turn', (value) => {
      return value.kind !== 'message' && value.text !== 'PRIORITY_DEFAULT' && value.text !== '0';
    });
    policy.withoutEffect('gather_kernel_buffer_threshold', NOT_OURS);
    policy.withoutEffect('eager_batching', NOT_OURS);
    for (const memory of ['input_pinned_memory', 'output_pinned_memory']) {
      const isOff = policy.child(memory, (buffer) => buffer.finish({ enable: buffer.boolean('enable') ?? false }));
      if (isOff?.enable === false) policy.withoutEffect(memory, 'onnxruntime chooses how it copies', () => true);
    }
    return policy.finish({
      graphLevel: policy.child('graph', readGraphLevel)?.level ?? DEFAULT_OPTIMIZATION.graphLevel,
      cudaGraphs: policy.child('cuda', readCudaGraphs)?.graphs ?? false,
      gpuAccelerators: policy.child('execution_accelerators', readAccelerators)?.gpu ?? [],
    });
  });
  return optimization ?? DEFAULT_OPTIMIZATION;
}

/** The numbers are those of Triton's onnxruntime backend, where 2 switches optimizations off. */
const GRAPH_LEVELS = { '-1': 'basic', '0': 'all', '1': 'extended', '2': 'disabled' } as const;

function readGraphLevel(reader: MessageReader): { readonly level: Optimization['graphLevel'] } {
  const level = reader.integer('level', -1, 2) ?? 0;
  return reader.finish({ level: GRAPH_LEVELS[String(level) as keyof typeof GRAPH_LEVELS] });
}

function readCudaGraphs(reader: MessageReader): { readonly graphs: boolean } {
  reader.refuse('graph_spec', 'is not supported: graphs are captured for each allowed batch size');
  reader.withoutEffect('busy_wait_events', NOT_OURS);
  reader.withoutEffect('output_copy_stream', NOT_OURS);
  return reader.finish({ graphs: reader.boolean('graphs') ?? false });
}

function readAccelerators(reader: MessageReader): { readonly gpu: readonly Accelerator[] } {
  reader.refuse('cpu_execution_accelerator', 'is not supported: onnxruntime runs on its own CPU provider');
  return reader.finish({ gpu: Object.freeze(reader.children('gpu_execution_accelerator', readAccelerator)) });
}

function readAccelerator(reader: MessageReader): Accelerator {
  const name = reader.text('name');
  if (name !== 'tensorrt' && name !== 'cuda') {
    throw reader.unsupported('name', `must be 'tensorrt' or 'cuda', got '${(name ?? '').slice(0, 60)}'`);
  }
  return reader.finish({ name, parameters: reader.strings('parameters') });
}
