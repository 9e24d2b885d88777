import type { RecordedInvoke, RecordedResource } from './pulumi-recording';
import type { Properties } from './pulumi-values';

/** A resource as the program declared it, before a provider has answered. */
export type DeclaredResource = Omit<RecordedResource, 'id' | 'state'>;

/** What a provider would have answered for a created or read resource. */
export interface ResourceState {
  /** @default - `<name>-id` */
  readonly id?: string;
  /** Outputs, laid over the inputs. @default - the inputs alone */
  readonly state?: Properties;
}

/** What a provider was told: what the program gave it, or, of the one that nobody made, what the configuration says of its package. */
export type ProviderSettings = Properties;

/** Plays the provider of a resource that is created or read. What it throws fails that resource, as a cloud would. */
export type OnResource = (
  resource: DeclaredResource,
  provider?: ProviderSettings,
) => Awaitable<ResourceState | undefined>;

/** Answers a function call of the program. */
export type OnInvoke = (invoke: RecordedInvoke, provider?: ProviderSettings) => Awaitable<Properties | undefined>;

export type Awaitable<T> = T | Promise<T>;
