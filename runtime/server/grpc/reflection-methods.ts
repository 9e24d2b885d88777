import { create, createRegistry, fromBinary, toBinary, type DescFile, type MessageInitShape } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { ServerError } from '../errors';
import { file_grpc_health_v1_health } from './generated/grpc/health/v1/health_pb';
import {
  file_grpc_reflection_v1_reflection,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
  type ServerReflectionRequest,
} from './generated/grpc/reflection/v1/reflection_pb';
import { file_grpc_reflection_v1alpha_reflection } from './generated/grpc/reflection/v1alpha/reflection_pb';
import { file_inference_grpc_service } from './generated/inference/grpc_service_pb';
import type { Frame } from './infer-codec';
import { ProtobufWriter } from './protobuf-writer';

const FILES: readonly DescFile[] = [
  file_inference_grpc_service,
  file_grpc_health_v1_health,
  file_grpc_reflection_v1_reflection,
  file_grpc_reflection_v1alpha_reflection,
];
const REGISTRY = createRegistry(...FILES);
const SERVICES = FILES.flatMap(({ services }) => services.map(({ typeName }) => typeName));
const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

type Response = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>;

/** gRPC's server reflection: tools ask for the services and the messages that they take. v1 and v1alpha are alike on the wire. */
export function reflect(bytes: Buffer): Frame {
  let request: ServerReflectionRequest;
  try {
    request = fromBinary(ServerReflectionRequestSchema, bytes);
  } catch (error) {
    throw new ServerError('MALFORMED_REQUEST', `the message is no reflection request: ${(error as Error).message}`);
  }
  const response = create(ServerReflectionResponseSchema, {
    validHost: request.host,
    originalRequest: request,
    messageResponse: answer(request),
  });
  const writer = new ProtobufWriter();
  writer.raw(toBinary(ServerReflectionResponseSchema, response));
  return [writer.finish()];
}

function answer({ messageRequest }: ServerReflectionRequest): Response {
  switch (messageRequest.case) {
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: SERVICES.map((name) => ({ name })) } };
    case 'fileByFilename':
      return describe(
        FILES.flatMap(withImports).find(({ proto }) => proto.name === messageRequest.value),
        messageRequest.value,
      );
    case 'fileContainingSymbol':
      return describe(fileOf(messageRequest.value), messageRequest.value);
    case 'fileContainingExtension':
      return refuse(NOT_FOUND, `no extensions of '${messageRequest.value.containingType.slice(0, 200)}' here`);
    case 'allExtensionNumbersOfType': {
      const baseTypeName = messageRequest.value;
      if (REGISTRY.getMessage(baseTypeName) === undefined) {
        return refuse(NOT_FOUND, `no message '${baseTypeName.slice(0, 200)}' here`);
      }
      return { case: 'allExtensionNumbersResponse', value: { baseTypeName } };
    }
    case undefined:
      return refuse(UNIMPLEMENTED, 'a reflection request of a kind that is not known here');
    default:
      return messageRequest satisfies never;
  }
}

/** A symbol is a type, a service, or a method or field of one. */
function fileOf(symbol: string): DescFile | undefined {
  const owner = symbol.slice(0, Math.max(0, symbol.lastIndexOf('.')));
  return (REGISTRY.get(symbol) ?? REGISTRY.get(owner))?.file;
}

function describe(file: DescFile | undefined, asked: string): Response {
  if (file === undefined) return refuse(NOT_FOUND, `no '${asked.slice(0, 200)}' here`);
  const fileDescriptorProto = withImports(file).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function withImports(file: DescFile): readonly DescFile[] {
  return [file, ...file.dependencies.flatMap(withImports)];
}

function refuse(errorCode: number, errorMessage: string): Response {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}
