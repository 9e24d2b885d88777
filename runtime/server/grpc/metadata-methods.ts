import { fromJson, toBinary, type DescMessage, type JsonValue } from '@bufbuild/protobuf';
import { ServerError } from '../errors';
import {
  describeConfiguration,
  describeIndex,
  describeModel,
  describeStatistics,
  SERVER_METADATA,
} from '../model-descriptions';
import type { RouteContext } from '../protocols/route-context';
import {
  ModelConfigRequestSchema,
  ModelConfigResponseSchema,
  ModelMetadataRequestSchema,
  ModelMetadataResponseSchema,
  ModelStatisticsRequestSchema,
  ModelStatisticsResponseSchema,
  RepositoryIndexRequestSchema,
  RepositoryIndexResponseSchema,
  ServerMetadataRequestSchema,
  ServerMetadataResponseSchema,
} from './generated/inference/grpc_service_pb';
import type { Frame } from './infer-codec';
import { selectorOf } from './inference-methods';
import { ProtobufWriter } from './protobuf-writer';
import { readMessage } from './read-message';

type Respond = (bytes: Buffer, context: RouteContext) => Frame;

/**
 * The calls that ask about the server and its models. Their answers are those of HTTP, whose JSON has the fields of the
 * messages; generated code writes them, which is slow and needs memory, and is loaded with the first such call.
 */
export const METADATA_ANSWERS = {
  ServerMetadata: (bytes) => {
    readMessage(ServerMetadataRequestSchema, bytes);
    return write(ServerMetadataResponseSchema, SERVER_METADATA);
  },
  ModelMetadata: (bytes, { models }) => {
    const { name, version } = readMessage(ModelMetadataRequestSchema, bytes);
    const model = models().find(selectorOf(name, version));
    return write(ModelMetadataResponseSchema, describeModel(model, models().versionsOf(name)));
  },
  ModelConfig: (bytes, { models, settings }) => {
    const { name, version } = readMessage(ModelConfigRequestSchema, bytes);
    const config = describeConfiguration(models().find(selectorOf(name, version)), settings);
    return write(ModelConfigResponseSchema, { config });
  },
  ModelStatistics: (bytes, { models }) => {
    const { name, version } = readMessage(ModelStatisticsRequestSchema, bytes);
    if (name === '' && version !== '') throw new ServerError('MALFORMED_REQUEST', `version needs a name beside it`);
    const asked =
      name === ''
        ? models().all
        : version === ''
          ? models().versionsOf(models().find({ name }).name)
          : [models().find({ name, version })];
    return write(ModelStatisticsResponseSchema, { model_stats: asked.map(describeStatistics) });
  },
  RepositoryIndex: (bytes, { models }) => {
    const { ready } = readMessage(RepositoryIndexRequestSchema, bytes);
    return write(RepositoryIndexResponseSchema, { models: describeIndex(models(), ready) });
  },
} as const satisfies Record<string, Respond>;

/** @param json Fields by their names in the proto. */
function write(schema: DescMessage, json: object): Frame {
  const writer = new ProtobufWriter();
  writer.raw(toBinary(schema, fromJson(schema, json as JsonValue)));
  return [writer.finish()];
}
