import type { Callback } from '@pulumi/pulumi/proto/callback_pb';
import type { RegisterResourceRequest, TransformResourceOptions } from '@pulumi/pulumi/proto/resource_pb';
import type { CallbackCaller } from './pulumi-callbacks';
import type { PulumiSdk } from './pulumi-sdk';

/** Runs `transforms` as the engine does: in the program's process. */
export class TransformRunner {
  constructor(
    private readonly sdk: PulumiSdk,
    private readonly callbacks: CallbackCaller,
  ) {}

  /** Applies the transforms to a registration, in order, each seeing what the one before made of it. */
  async apply(request: RegisterResourceRequest, transforms: readonly Callback[]): Promise<void> {
    for (const transform of transforms) {
      const question = new this.sdk.resource.TransformRequest();
      question.setType(request.getType());
      question.setName(request.getName());
      question.setCustom(request.getCustom());
      question.setParent(request.getParent());
      question.setProperties(request.getObject());
      question.setOptions(this.optionsOf(request));
      const bytes = await this.callbacks.call(transform, 'a transform', question.serializeBinary());
      const answer = this.sdk.resource.TransformResponse.deserializeBinary(bytes);
      if (answer.hasProperties()) request.setObject(answer.getProperties());
      const options = answer.getOptions();
      if (options !== undefined) setOptions(request, options);
    }
  }

  private optionsOf(request: RegisterResourceRequest): TransformResourceOptions {
    const options = new this.sdk.resource.TransformResourceOptions();
    options.setDependsOnList(request.getDependenciesList());
    const protect = request.getProtect();
    if (request.hasProtect() && protect !== undefined) options.setProtect(protect);
    options.setIgnoreChangesList(request.getIgnorechangesList());
    options.setReplaceOnChangesList(request.getReplaceonchangesList());
    options.setVersion(request.getVersion());
    options.setAliasesList(request.getAliasesList());
    options.setProvider(request.getProvider());
    options.setCustomTimeouts(request.getCustomtimeouts());
    options.setPluginDownloadUrl(request.getPlugindownloadurl());
    const retain = request.getRetainondelete();
    if (request.hasRetainondelete() && retain !== undefined) options.setRetainOnDelete(retain);
    options.setDeletedWith(request.getDeletedwith());
    if (request.getDeletebeforereplacedefined()) options.setDeleteBeforeReplace(request.getDeletebeforereplace());
    options.setAdditionalSecretOutputsList(request.getAdditionalsecretoutputsList());
    for (const [name, provider] of request.getProvidersMap().entries()) options.getProvidersMap().set(name, provider);
    options.setImport(request.getImportid());
    options.setReplaceWithList(request.getReplaceWithList());
    return options;
  }
}

/** The answer holds the options whole, not a difference: what it leaves out is taken away. */
function setOptions(request: RegisterResourceRequest, options: TransformResourceOptions): void {
  request.setDependenciesList(options.getDependsOnList());
  const protect = options.getProtect();
  if (options.hasProtect() && protect !== undefined) request.setProtect(protect);
  else request.clearProtect();
  request.setIgnorechangesList(options.getIgnoreChangesList());
  request.setReplaceonchangesList(options.getReplaceOnChangesList());
  request.setVersion(options.getVersion());
  request.setAliasesList(options.getAliasesList());
  request.setProvider(options.getProvider());
  request.setCustomtimeouts(options.getCustomTimeouts());
  request.setPlugindownloadurl(options.getPluginDownloadUrl());
  const retain = options.getRetainOnDelete();
  if (options.hasRetainOnDelete() && retain !== undefined) request.setRetainondelete(retain);
  else request.clearRetainondelete();
  request.setDeletedwith(options.getDeletedWith());
  request.setDeletebeforereplacedefined(options.hasDeleteBeforeReplace());
  request.setDeletebeforereplace(options.getDeleteBeforeReplace() ?? false);
  request.setAdditionalsecretoutputsList(options.getAdditionalSecretOutputsList());
  request.clearProvidersMap();
  for (const [name, provider] of options.getProvidersMap().entries()) request.getProvidersMap().set(name, provider);
  request.setImportid(options.getImport());
  request.setReplaceWithList(options.getReplaceWithList());
}
