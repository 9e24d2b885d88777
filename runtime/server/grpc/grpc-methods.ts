import type { Answer, GrpcMethod, GrpcMethods } from './grpc-method';
import { HEALTH_SERVICE, HealthMethods } from './health-methods';
import { INFERENCE_SERVICE, inferenceMethods, type InferenceMethodsContext } from './inference-methods';
import { ServerError } from '../errors';

const REFLECTION_SERVICES = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];

/** Every method of every service of the gRPC port. */
export function grpcMethods(context: InferenceMethodsContext): GrpcMethods {
  const methods = new Map<string, GrpcMethod>();
  const add = (service: string, named: Readonly<Record<string, GrpcMethod>>): void => {
    for (const [name, method] of Object.entries(named)) methods.set(`/${service}/${name}`, method);
  };
  add(INFERENCE_SERVICE, inferenceMethods(context));
  add(INFERENCE_SERVICE, metadataMethods(context));
  add(INFERENCE_SERVICE, { RepositoryModelLoad: MODEL_CONTROL, RepositoryModelUnload: MODEL_CONTROL });
  add(HEALTH_SERVICE, new HealthMethods(context.isReady).methods);
  for (const service of REFLECTION_SERVICES) add(service, { ServerReflectionInfo: REFLECTION });
  return methods;
}

/** Their code comes with the first such call: most replicas never get one, and start sooner without it. */
function metadataMethods(context: InferenceMethodsContext): Readonly<Record<string, GrpcMethod>> {
  const answerOf =
    (name: 'ServerMetadata' | 'ModelMetadata' | 'ModelConfig' | 'ModelStatistics' | 'RepositoryIndex'): Answer =>
    async (bytes) => {
      const { METADATA_ANSWERS } = await import('./metadata-methods.js');
      return METADATA_ANSWERS[name](bytes, context);
    };
  const names = ['ServerMetadata', 'ModelMetadata', 'ModelConfig', 'ModelStatistics', 'RepositoryIndex'] as const;
  return Object.fromEntries(
    names.map((name) => [name, { kind: 'unary', group: 'metadata', answer: answerOf(name) } as const]),
  );
}

const MODEL_CONTROL: GrpcMethod = {
  kind: 'unary',
  group: 'admin',
  answer: () => {
    throw new ServerError('NOT_IMPLEMENTED', 'models are loaded and unloaded on the admin port alone, over HTTP');
  },
};

const REFLECTION: GrpcMethod = {
  kind: 'stream',
  group: 'metadata',
  answer: async (bytes) => (await import('./reflection-methods.js')).reflect(bytes),
};
