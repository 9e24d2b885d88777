import { ServerError } from '../errors';
import type { Json } from '../json-body';
import { loadModel, unloadModel } from '../model-control';
import type { RepositoryControl } from '../repository/model-lifecycle';
import {
  RepositoryModelLoadRequestSchema,
  RepositoryModelUnloadRequestSchema,
  type ModelRepositoryParameter,
} from './generated/inference/grpc_service_pb';
import type { Frame } from './infer-codec';
import { ProtobufWriter } from './protobuf-writer';
import { readMessage } from './read-message';

interface ControlRequest {
  readonly repositoryName: string;
  readonly modelName: string;
  readonly parameters: Readonly<Record<string, ModelRepositoryParameter>>;
}

type Control = (bytes: Buffer, repository: RepositoryControl) => Promise<Frame>;

/** Triton's calls that load and unload a model. */
export const MODEL_CONTROL_ANSWERS = {
  RepositoryModelLoad: async (bytes, repository) => {
    const request = readMessage(RepositoryModelLoadRequestSchema, bytes);
    await loadModel(repository, request.modelName, parametersOf(request));
    return nothing();
  },
  RepositoryModelUnload: async (bytes, repository) => {
    const request = readMessage(RepositoryModelUnloadRequestSchema, bytes);
    await unloadModel(repository, request.modelName, parametersOf(request));
    return nothing();
  },
} as const satisfies Record<string, Control>;

function parametersOf({ repositoryName, parameters }: ControlRequest): Json {
  if (repositoryName !== '') {
    throw new ServerError('NOT_IMPLEMENTED', 'there is one model repository here: leave repository_name empty');
  }
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { parameterChoice }]) => [name, valueOf(parameterChoice)]),
  );
}

/** As JSON has it; no parameter that is taken is a number or bytes. */
function valueOf({ case: kind, value }: ModelRepositoryParameter['parameterChoice']): unknown {
  if (kind === 'int64Param') return Number(value);
  return kind === 'bytesParam' ? [...value.subarray(0, 20)] : (value ?? null);
}

/** A message without fields. */
function nothing(): Frame {
  return [new ProtobufWriter().finish()];
}
