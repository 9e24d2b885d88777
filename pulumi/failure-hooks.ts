import * as pulumi from '@pulumi/pulumi';
import { explainFailure } from './explain-failure';
import { typeTokenOf } from './type-token';

/** What the SDK knows of who runs the program. It keeps that in the process, for all its copies, and has no function for it. */
interface SdkStore {
  readonly supportsErrorHooks?: boolean;
}

interface SdkGlobals {
  readonly asyncLocalStorage?: { getStore(): SdkStore | undefined };
  readonly globalStore?: SdkStore;
}

/** How often each name was taken: an engine refuses a hook whose name it knows. */
const TAKEN = new Map<string, number>();

/**
 * Options of children whose failure may be the cluster's: when one is not made, or does not get ready, the component says
 * which thing is missing and what installs it, below what the provider says. Not for every child: a hook is kept with the
 * resource, and where a delete has not ended in time the engine asks for it though no program runs (`DeleteStep.Apply` of
 * pkg/resource/deploy/step.go): it then says that the hook is not registered, and not why. docs/pulumi/services.md has the way out.
 *
 * With a CLI before 3.217, or an SDK before 3.218, there are none, and the preview says once where to ask instead.
 */
export function explained(
  component: pulumi.ComponentResource,
  name: string,
): Pick<pulumi.CustomResourceOptions, 'hooks'> {
  if (!takesErrorHooks()) {
    if (pulumi.runtime.isDryRun()) sayWhereElse();
    return {};
  }
  const base = `${typeTokenOf(component)} ${name}`;
  const nth = (TAKEN.get(base) ?? 0) + 1;
  TAKEN.set(base, nth);
  const said = new Set<string>();
  const hook = new pulumi.ErrorHook(
    nth === 1 ? base : `${base} ${nth}`,
    async ({ type, newInputs, errors, failedOperation }) => {
      if (failedOperation === 'delete') return false;
      const sentence = explainFailure({ kind: type.split(':').at(-1)!, error: errors[0] ?? '', object: newInputs });
      if (sentence !== undefined && !said.has(sentence)) {
        said.add(sentence);
        // Awaited: the program ends once the failure is known.
        await pulumi.log.error(sentence, component);
      }
      return false;
    },
  );
  return { hooks: { onError: [hook] } };
}

let isSaid = false;

function sayWhereElse(): void {
  if (isSaid) return;
  isSaid = true;
  void pulumi.log.info(
    'when an update fails for something that the cluster lacks, this version of pulumi cannot tell the program; ask `slipway doctor`, or take pulumi 3.217 or newer, which says it with the error',
  );
}

/**
 * Whether whoever runs the program knows error hooks. A resource that names one is refused by the SDK where the CLI is older;
 * and the mocks of unit tests say that they know them, and do not.
 */
function takesErrorHooks(): boolean {
  const { asyncLocalStorage, globalStore } = globalThis as SdkGlobals;
  const store = asyncLocalStorage?.getStore() ?? globalStore;
  const { getMonitor } = pulumi.runtime as {
    readonly getMonitor?: () => { readonly registerErrorHook?: unknown } | undefined;
  };
  return store?.supportsErrorHooks === true && typeof getMonitor?.()?.registerErrorHook === 'function';
}
