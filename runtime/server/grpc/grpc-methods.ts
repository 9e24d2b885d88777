import type { Answer, GrpcMethod, GrpcMethods } from './grpc-method';
import { HEALTH_SERVICE, HealthMethods } from './health-methods';
import { INFERENCE_SERVICE, inferenceMethods, type InferenceMethodsContext } from './inference-methods';
import { GRPC_READY_PATH } from '../../spec/endpoints';
import { ServerError } from '../errors';
import type { RepositoryControl } from '../repository/model-lifecycle';

const REFLECTION_SERVICES = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];

export interface GrpcMethodsContext extends InferenceMethodsContext {
  readonly repository: RepositoryControl;
}

/** Every method of every service of the gRPC port. */
export function grpcMethods(context: GrpcMethodsContext): GrpcMethods {
  const methods = new Map<string, GrpcMethod>();
  const add = (service: string, named: Readonly<Record<string, GrpcMethod>>): void => {
    for (const [name, method] of Object.entries(named)) methods.set(`/${service}/${name}`, method);
  };
  add(INFERENCE_SERVICE, inferenceMethods(context));
  add(INFERENCE_SERVICE, metadataMethods(context));
  add(INFERENCE_SERVICE, modelControlMethods(context));
  const health = new HealthMethods(context.isReady);
  add(HEALTH_SERVICE, health.methods);
  methods.set(GRPC_READY_PATH, health.ready);
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

/** This port, unlike the admin port, may be open to the network: then callers must have shown who they are. */
function modelControlMethods({ settings, repository }: GrpcMethodsContext): Readonly<Record<string, GrpcMethod>> {
  const answerOf =
    (name: 'RepositoryModelLoad' | 'RepositoryModelUnload'): Answer =>
    async (bytes, { caller }) => {
      if (settings.adminPort === undefined || caller === '') {
        throw new ServerError(
          'NOT_IMPLEMENTED',
          'models are loaded and unloaded over HTTP on the admin port; and here, where SLIPWAY_ADMIN_PORT is set, by callers with a key or token of the group admin',
        );
      }
      const { MODEL_CONTROL_ANSWERS } = await import('./model-control-methods.js');
      return MODEL_CONTROL_ANSWERS[name](bytes, repository);
    };
  const names = ['RepositoryModelLoad', 'RepositoryModelUnload'] as const;
  return Object.fromEntries(
    names.map((name) => [name, { kind: 'unary', group: 'admin', answer: answerOf(name) } as const]),
  );
}

const REFLECTION: GrpcMethod = {
  kind: 'stream',
  group: 'metadata',
  answer: async (bytes) => (await import('./reflection-methods.js')).reflect(bytes),
};
