import { createRequire } from 'node:module';
import path from 'node:path';
import type * as grpcTypes from '@grpc/grpc-js';
import type * as callbackGrpcTypes from '@pulumi/pulumi/proto/callback_grpc_pb';
import type * as callbackTypes from '@pulumi/pulumi/proto/callback_pb';
import type * as engineGrpcTypes from '@pulumi/pulumi/proto/engine_grpc_pb';
import type * as engineTypes from '@pulumi/pulumi/proto/engine_pb';
import type * as resourceGrpcTypes from '@pulumi/pulumi/proto/resource_grpc_pb';
import type * as resourceTypes from '@pulumi/pulumi/proto/resource_pb';
import type * as emptyTypes from 'google-protobuf/google/protobuf/empty_pb';
import type * as structTypes from 'google-protobuf/google/protobuf/struct_pb';

/** The parts of the program's own SDK that speak the wire protocol. */
export interface PulumiSdk {
  readonly grpc: typeof grpcTypes;
  readonly callback: typeof callbackTypes;
  readonly callbackGrpc: typeof callbackGrpcTypes;
  readonly engine: typeof engineTypes;
  readonly engineGrpc: typeof engineGrpcTypes;
  readonly resource: typeof resourceTypes;
  readonly resourceGrpc: typeof resourceGrpcTypes;
  readonly struct: typeof structTypes;
  readonly empty: typeof emptyTypes;
  /** Reads YAML with the SDK's own parser. */
  readonly parseYaml: (text: string) => unknown;
  /** The script that runs a program: what `pulumi-language-nodejs` starts. */
  readonly runScript: string;
}

/**
 * Loads the SDK that the program in a folder would load, and gRPC and protobuf from where that SDK finds them:
 * messages made by another copy of google-protobuf are refused on serialisation.
 */
export function loadPulumiSdk(directory: string): PulumiSdk {
  const fromProgram = createRequire(path.join(directory, 'index.js'));
  let sdkEntry: string;
  try {
    sdkEntry = fromProgram.resolve('@pulumi/pulumi');
  } catch {
    throw new Error(`@pulumi/pulumi cannot be found from ${directory}; install it beside the program`);
  }
  const fromSdk = createRequire(sdkEntry);
  const load = <T>(id: string): T => fromSdk(id) as T;
  return {
    grpc: load('@grpc/grpc-js'),
    callback: load('./proto/callback_pb'),
    callbackGrpc: load('./proto/callback_grpc_pb'),
    engine: load('./proto/engine_pb'),
    engineGrpc: load('./proto/engine_grpc_pb'),
    resource: load('./proto/resource_pb'),
    resourceGrpc: load('./proto/resource_grpc_pb'),
    struct: load('google-protobuf/google/protobuf/struct_pb'),
    empty: load('google-protobuf/google/protobuf/empty_pb'),
    parseYaml: load<{ load: PulumiSdk['parseYaml'] }>('js-yaml').load,
    runScript: fromSdk.resolve('./cmd/run'),
  };
}
