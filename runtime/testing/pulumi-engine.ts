import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Callback } from '@pulumi/pulumi/proto/callback_pb';
import type { LogRequest, SetRootResourceRequest } from '@pulumi/pulumi/proto/engine_pb';
import type {
  ReadResourceRequest,
  RegisterErrorHookRequest,
  RegisterPackageRequest,
  RegisterResourceOutputsRequest,
  RegisterResourceRequest,
  ResourceInvokeRequest,
  SupportsFeatureRequest,
} from '@pulumi/pulumi/proto/resource_pb';
import type { Struct } from 'google-protobuf/google/protobuf/struct_pb';
import { CallbackCaller } from './pulumi-callbacks';
import { ErrorHooks } from './pulumi-error-hooks';
import type { Awaitable, DeclaredResource, OnInvoke, OnResource, ProviderSettings } from './pulumi-provider';
import type { PulumiRecording, RecordedInvoke, RecordedLog, RecordedResource } from './pulumi-recording';
import type { PulumiSdk } from './pulumi-sdk';
import { recordRead, recordRegistration } from './pulumi-registration';
import { TransformRunner } from './pulumi-transforms';
import { decodeProperties, encodeProperties, isSecret, secret, type Properties } from './pulumi-values';

export interface PulumiEngineOptions {
  readonly project: string;
  readonly stack: string;
  readonly preview: boolean;
  /** Configuration by its whole key, `aws:region`. */
  readonly config?: Readonly<Record<string, string>>;
  readonly onResource?: OnResource | undefined;
  readonly onInvoke?: OnInvoke | undefined;
  /** @default true */
  readonly errorHooks?: boolean;
}

const ROOT_TYPE = 'pulumi:pulumi:Stack';
const SEVERITIES = ['debug', 'info', 'warning', 'error'] as const;

/**
 * The engine's side of Pulumi's wire protocol: a resource monitor and an engine in one gRPC server on loopback.
 * It records and answers; it compares with no earlier state, so nothing is ever updated, replaced or deleted.
 */
export class PulumiEngine {
  private readonly resources: RecordedResource[] = [];
  private readonly outputs: Record<string, Properties> = {};
  private readonly invokes: RecordedInvoke[] = [];
  private readonly logs: RecordedLog[] = [];
  private readonly urns = new Set<string>();
  private readonly componentTransforms = new Map<string, readonly Callback[]>();
  private readonly parents = new Map<string, string>();
  private readonly stackTransforms: Callback[] = [];
  private readonly callbacks: CallbackCaller;
  private readonly transforms: TransformRunner;
  private readonly errorHooks: ErrorHooks;
  private readonly server: InstanceType<PulumiSdk['grpc']['Server']>;
  private rootUrn = '';

  constructor(
    private readonly sdk: PulumiSdk,
    private readonly options: PulumiEngineOptions,
  ) {
    this.callbacks = new CallbackCaller(sdk);
    this.transforms = new TransformRunner(sdk, this.callbacks);
    this.errorHooks = new ErrorHooks(sdk, this.callbacks);
    // The SDK lifts the same limit to the same value: programs send whole documents as inputs.
    this.server = new sdk.grpc.Server({ 'grpc.max_receive_message_length': 400 * 1024 * 1024 });
    this.server.addService(sdk.resourceGrpc.ResourceMonitorService, this.monitorService());
    this.server.addService(sdk.engineGrpc.EngineService, this.engineService());
  }

  /** Listens on a free port of 127.0.0.1 and returns the address. */
  listen(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.server.bindAsync('127.0.0.1:0', this.sdk.grpc.ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(`127.0.0.1:${port}`);
        else reject(error);
      });
    });
  }

  close(): void {
    this.callbacks.close();
    this.server.forceShutdown();
  }

  recording(): Pick<PulumiRecording, 'preview' | 'resources' | 'outputs' | 'stackOutputs' | 'invokes' | 'logs'> {
    return {
      preview: this.options.preview,
      resources: [...this.resources],
      outputs: { ...this.outputs },
      stackOutputs: this.outputs[this.rootUrn] ?? {},
      invokes: [...this.invokes],
      logs: [...this.logs],
    };
  }

  private monitorService(): UntypedServiceImplementation {
    const { resource } = this.sdk;
    return {
      ...this.unimplemented(this.sdk.resourceGrpc.ResourceMonitorService),
      getDeploymentInfo: this.answer(() => {
        const info = new resource.DeploymentInfo();
        info.setProject(this.options.project);
        info.setStack(this.options.stack);
        info.setDryrun(this.options.preview);
        info.setSupportedfeaturesList(this.features());
        return info;
      }),
      // SDKs older than getDeploymentInfo ask for one feature at a time, by a name of its own.
      supportsFeature: this.answer((request: SupportsFeatureRequest) => {
        const response = new resource.SupportsFeatureResponse();
        response.setHassupport(LEGACY_FEATURES.has(request.getId()));
        return response;
      }),
      registerResource: this.answer((request: RegisterResourceRequest) => this.registerResource(request)),
      readResource: this.answer((request: ReadResourceRequest) => this.readResource(request)),
      registerResourceOutputs: this.answer((request: RegisterResourceOutputsRequest) => {
        this.outputs[request.getUrn()] = fromStruct(request.getOutputs());
        return this.nothing();
      }),
      invoke: this.answer((request: ResourceInvokeRequest) => this.invoke(request)),
      registerStackTransform: this.answer((request: Callback) => {
        this.stackTransforms.push(request);
        return this.nothing();
      }),
      ...(this.takesErrorHooks
        ? {
            registerErrorHook: this.answer((request: RegisterErrorHookRequest) => {
              this.errorHooks.register(request.getName(), request.getCallback()!);
              return this.nothing();
            }),
          }
        : {}),
      registerPackage: this.answer((request: RegisterPackageRequest) => {
        const response = new resource.RegisterPackageResponse();
        const base = `${request.getName()}@${request.getVersion()}`;
        const made = request.getParameterization();
        const value = Buffer.from(made?.getValue_asU8() ?? []).toString();
        response.setRef(made === undefined ? base : `${base} ${made.getName()}@${made.getVersion()} ${value}`);
        return response;
      }),
      signalAndWaitForShutdown: this.answer(() => this.nothing()),
    };
  }

  private engineService(): UntypedServiceImplementation {
    const { engine } = this.sdk;
    return {
      ...this.unimplemented(this.sdk.engineGrpc.EngineService),
      log: this.answer((request: LogRequest) => {
        const severity = SEVERITIES[request.getSeverity()] ?? 'error';
        this.logs.push({ severity, message: request.getMessage(), urn: request.getUrn() });
        return this.nothing();
      }),
      getRootResource: this.answer(() => {
        const response = new engine.GetRootResourceResponse();
        response.setUrn(this.rootUrn);
        return response;
      }),
      setRootResource: this.answer((request: SetRootResourceRequest) => {
        this.rootUrn = request.getUrn();
        return new engine.SetRootResourceResponse();
      }),
      requirePulumiVersion: this.answer(() => new engine.RequirePulumiVersionResponse()),
    };
  }

  private async registerResource(request: RegisterResourceRequest) {
    const parent = request.getParent();
    const urn = this.newUrn(parent, request.getType(), request.getName());
    this.parents.set(urn, parent);
    this.componentTransforms.set(urn, request.getTransformsList());
    await this.transforms.apply(request, this.transformsFor(urn));

    const declared = recordRegistration(request, urn, fromStruct(request.getObject()));
    // An engine that knows of no error hooks does not read the field.
    const hooks = this.takesErrorHooks ? (request.getHooks()?.getOnErrorList?.() ?? []) : [];
    const registered = await this.settle(declared, () =>
      this.errorHooks.create(hooks, declared, request.getObject(), () => this.provide(declared)),
    );
    const response = new this.sdk.resource.RegisterResourceResponse();
    response.setUrn(urn);
    response.setId(registered.id);
    response.setObject(this.toStruct(registered.state));
    return response;
  }

  private async readResource(request: ReadResourceRequest) {
    const urn = this.newUrn(request.getParent(), request.getType(), request.getName());
    const declared = recordRead(request, urn, fromStruct(request.getProperties()));
    const registered = await this.settle(declared, () => this.provide(declared));
    const response = new this.sdk.resource.ReadResourceResponse();
    response.setUrn(urn);
    response.setProperties(this.toStruct(registered.state));
    return response;
  }

  /** Records a resource in the order of arrival, and completes the record with what the provider answers. */
  private async settle(
    resource: DeclaredResource,
    provide: () => Promise<RecordedResource>,
  ): Promise<RecordedResource> {
    const index = this.resources.push({ ...resource, id: '', state: resource.inputs }) - 1;
    const settled = await provide();
    this.resources[index] = settled;
    return settled;
  }

  private async provide(resource: DeclaredResource): Promise<RecordedResource> {
    // A component has no provider. A preview calls none either, and leaves out of the answer whatever the program did
    // not give: the SDK takes every output that is missing from a preview's answer as unknown. Reads happen in both.
    const managed = resource.custom || resource.remote;
    if (!managed || (this.options.preview && !resource.read)) {
      return { ...resource, id: '', state: markSecret(resource.inputs, resource) };
    }
    const answer = (await this.options.onResource?.(resource, this.settingsOf(resource.type, resource.provider))) ?? {};
    const id = resource.custom ? (answer.id ?? (resource.importId || `${resource.name}-id`)) : '';
    return { ...resource, id, state: markSecret({ ...resource.inputs, ...answer.state }, resource) };
  }

  private async invoke(request: ResourceInvokeRequest) {
    const token = request.getTok();
    const invoke = { token, args: fromStruct(request.getArgs()), provider: request.getProvider() };
    this.invokes.push(invoke);
    const result = await this.options.onInvoke?.(invoke, this.settingsOf(token, invoke.provider));
    if (result === undefined) throw new Error(`nothing answers the call of ${token}; return its result from onInvoke`);
    // An empty message of the service's own kind: its class had another name in SDKs before 3.256.
    const response = this.sdk.resourceGrpc.ResourceMonitorService.invoke.responseDeserialize(Buffer.alloc(0));
    response.setReturn(this.toStruct(result));
    return response;
  }

  /** Of a provider that the program made, or of the one that Pulumi makes of the stack's configuration. */
  private settingsOf(token: string, provider: string): ProviderSettings {
    const [urn] = provider.split(/::(?=[^:]*$)/);
    const made = this.resources.find((resource) => resource.urn === urn);
    if (made !== undefined) return made.inputs;
    const prefix = `${token.split(':')[0]}:`;
    return Object.fromEntries(
      Object.entries(this.options.config ?? {}).flatMap(([key, value]) =>
        key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
      ),
    );
  }

  private newUrn(parent: string, type: string, name: string): string {
    const parentType = parent.split('::')[2] ?? ROOT_TYPE;
    const qualifiedType = parentType === ROOT_TYPE ? type : `${parentType}$${type}`;
    const urn = `urn:pulumi:${this.options.stack}::${this.options.project}::${qualifiedType}::${name}`;
    if (this.urns.has(urn)) throw new Error(`Duplicate resource URN '${urn}'; try giving it a unique name`);
    this.urns.add(urn);
    return urn;
  }

  /** A resource's own transforms, then those of each component above it, then the stack's. */
  private transformsFor(urn: string): readonly Callback[] {
    const transforms: Callback[] = [];
    for (let at: string | undefined = urn; at; at = this.parents.get(at)) {
      transforms.push(...(this.componentTransforms.get(at) ?? []));
    }
    return [...transforms, ...this.stackTransforms];
  }

  private get takesErrorHooks(): boolean {
    return this.options.errorHooks ?? true;
  }

  /** What this engine really does: a program that needs more is told by its SDK that the engine is too old. */
  private features() {
    const feature = this.sdk.resource.ResourceMonitorFeature;
    return [
      feature.RESOURCE_MONITOR_FEATURE_SECRETS,
      feature.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
      feature.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
      feature.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
      feature.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
      feature.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
      feature.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
      feature.RESOURCE_MONITOR_FEATURE_PARAMETERIZATION,
      // SDKs before 3.218 have no word for it.
      ...(this.takesErrorHooks ? [feature.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS].filter(Boolean) : []),
    ];
  }

  /** Turns a function into a unary handler; what it throws reaches the program as the failure of that one call. */
  private answer<Request, Response>(handle: (request: Request) => Awaitable<Response>) {
    return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
      Promise.resolve()
        .then(() => handle(call.request))
        .then(
          (response) => callback(null, response),
          (error: unknown) => callback({ code: this.sdk.grpc.status.UNKNOWN, details: messageOf(error) }),
        );
    };
  }

  private unimplemented(service: Record<string, unknown>): UntypedServiceImplementation {
    return Object.fromEntries(
      Object.keys(service).map((method) => [
        method,
        (_call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) =>
          callback({ code: this.sdk.grpc.status.UNIMPLEMENTED, details: `this engine does not implement ${method}` }),
      ]),
    );
  }

  private toStruct(properties: Properties): Struct {
    return this.sdk.struct.Struct.fromJavaScript(
      encodeProperties(properties) as Parameters<typeof Struct.fromJavaScript>[0],
    );
  }

  private nothing() {
    return new this.sdk.empty.Empty();
  }
}

const LEGACY_FEATURES: ReadonlySet<string> = new Set([
  'secrets',
  'resourceReferences',
  'outputValues',
  'aliasSpecs',
  'deletedWith',
  'replaceWith',
  'transforms',
  'parameterization',
]);

/** As the engine does: an output is secret when the input of the same name was, or when the program asks for it. */
function markSecret(state: Properties, resource: DeclaredResource): Properties {
  return Object.fromEntries(
    Object.entries(state).map(([key, value]) => {
      const shouldHide = isSecret(resource.inputs[key]) || resource.additionalSecretOutputs.includes(key);
      return [key, shouldHide && !isSecret(value) ? secret(value) : value];
    }),
  );
}

function fromStruct(struct: Struct | undefined): Properties {
  return decodeProperties(struct?.toJavaScript() ?? {});
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
