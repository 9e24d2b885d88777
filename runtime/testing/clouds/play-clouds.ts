import type { OnInvoke, OnResource } from '../pulumi-provider';
import { alibabaInvoke, alibabaState } from './alibaba';
import { playAws } from './aws';
import { azureInvoke, azureState } from './azure';
import { gcpInvoke, gcpState } from './gcp';
import { tencentInvoke, tencentState } from './tencent';

interface PlayedCloud {
  readonly onResource: OnResource;
  readonly onInvoke: OnInvoke;
}

/** By the package of what is made or asked for. */
const CLOUDS: Readonly<Record<string, PlayedCloud>> = {
  alicloud: { onResource: alibabaState, onInvoke: alibabaInvoke },
  aws: playAws(),
  'azure-native': { onResource: azureState, onInvoke: azureInvoke },
  'docker-build': {
    onResource: () => ({ state: { digest: `sha256:${'cd'.repeat(32)}` } }),
    onInvoke: () => undefined,
  },
  gcp: { onResource: gcpState, onInvoke: gcpInvoke },
  tencentcloud: { onResource: tencentState, onInvoke: tencentInvoke },
};

/**
 * Plays the providers of the five clouds for the components of this package: what these read of a created resource, or look
 * up, has the form in which the cloud writes it, with made-up accounts and names. The region is the program's: a resource's own,
 * its provider's, or `aws:region` of the configuration, else Ireland on AWS and Hangzhou on Alibaba Cloud. Of other resources
 * the inputs are all that is known, and other lookups have no answer.
 *
 * @example
 * await runPulumiProgram({ directory: 'infra', ...playClouds() });
 */
export function playClouds(): PlayedCloud {
  const cloudOf = (token: string): PlayedCloud | undefined => {
    const [name] = token.split(':');
    return Object.hasOwn(CLOUDS, name!) ? CLOUDS[name!] : undefined;
  };
  return {
    onResource: (resource, provider) => cloudOf(resource.type)?.onResource(resource, provider),
    onInvoke: (invoke, provider) => cloudOf(invoke.token)?.onInvoke(invoke, provider),
  };
}
