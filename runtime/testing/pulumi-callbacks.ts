import type { Callback } from '@pulumi/pulumi/proto/callback_pb';
import type { PulumiSdk } from './pulumi-sdk';

/** Calls back into the program as the engine does: through the callback server that the SDK opened there. */
export class CallbackCaller {
  private readonly clients = new Map<string, InstanceType<PulumiSdk['callbackGrpc']['CallbacksClient']>>();

  constructor(private readonly sdk: PulumiSdk) {}

  /** @param what in the error where the call fails: 'a transform'. */
  call(callback: Callback, what: string, request: Uint8Array): Promise<Uint8Array> {
    const target = callback.getTarget();
    let client = this.clients.get(target);
    if (client === undefined) {
      client = new this.sdk.callbackGrpc.CallbacksClient(target, this.sdk.grpc.credentials.createInsecure());
      this.clients.set(target, client);
    }
    const invocation = new this.sdk.callback.CallbackInvokeRequest();
    invocation.setToken(callback.getToken());
    invocation.setRequest(request);
    return new Promise((resolve, reject) => {
      client.invoke(invocation, (error, response) => {
        if (error === null) resolve(response.getResponse_asU8());
        else reject(new Error(`${what} failed: ${error.details}`));
      });
    });
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
  }
}
