import type { Callback } from '@pulumi/pulumi/proto/callback_pb';
import type { Struct } from 'google-protobuf/google/protobuf/struct_pb';
import type { CallbackCaller } from './pulumi-callbacks';
import type { DeclaredResource } from './pulumi-provider';
import type { PulumiSdk } from './pulumi-sdk';

/** As the engine: after so many failures nobody is asked any more. */
const MAX_ATTEMPTS = 100;

/** What a program wants to be told when the provider fails, by name; and whether it wants another attempt then. */
export class ErrorHooks {
  private readonly hooks = new Map<string, Callback>();

  constructor(
    private readonly sdk: PulumiSdk,
    private readonly callbacks: CallbackCaller,
  ) {}

  /** @throws Error where the name is taken. */
  register(name: string, callback: Callback): void {
    if (this.hooks.has(name)) throw new Error(`error hook already registered for name "${name}"`);
    this.hooks.set(name, callback);
  }

  /**
   * Creates a resource, and asks the hooks whenever that fails: all of them, and any may want another attempt.
   * @throws Error of the last attempt.
   */
  async create<T>(
    names: readonly string[],
    resource: DeclaredResource,
    inputs: Struct | undefined,
    attempt: () => Promise<T>,
  ): Promise<T> {
    const errors: string[] = [];
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        errors.unshift(error instanceof Error ? error.message : String(error));
        if (errors.length >= MAX_ATTEMPTS || !(await this.wantsAnother(names, resource, inputs, errors))) throw error;
      }
    }
  }

  private async wantsAnother(
    names: readonly string[],
    resource: DeclaredResource,
    inputs: Struct | undefined,
    errors: readonly string[],
  ): Promise<boolean> {
    let isWanted = false;
    for (const name of names) {
      const hook = this.hooks.get(name);
      if (hook === undefined) throw new Error(`error hook not registered for ${name}`);
      const question = new this.sdk.resource.ErrorHookRequest();
      question.setUrn(resource.urn);
      question.setName(resource.name);
      question.setType(resource.type);
      question.setNewInputs(inputs);
      question.setFailedOperation('create');
      question.setErrorsList([...errors]);
      const bytes = await this.callbacks.call(hook, `error hook ${name}`, question.serializeBinary());
      const answer = this.sdk.resource.ErrorHookResponse.deserializeBinary(bytes);
      if (answer.getError() !== '') throw new Error(answer.getError());
      isWanted ||= answer.getRetry();
    }
    return isWanted;
  }
}
