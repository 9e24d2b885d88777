import { LABELS } from '../spec/endpoints';
import { KubernetesApiError, type KubernetesApi } from './kubernetes-api';

interface Backend {
  readonly name: string;
  readonly weight?: number;
}

interface Route {
  readonly metadata: { readonly resourceVersion: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly rules?: readonly { readonly backendRefs?: readonly Backend[] }[] };
}

export type RouteResource = 'httproutes' | 'grpcroutes';

const FIELD_MANAGER = 'slipway-canary-judge';
const ATTEMPTS = 5;

/** The weights of one route that leads to a service and its canary. */
export class CanaryRoute {
  readonly #path: string;

  constructor(
    private readonly api: KubernetesApi,
    namespace: string,
    resource: RouteResource,
    name: string,
    private readonly canary: string,
  ) {
    this.#path = `/apis/gateway.networking.k8s.io/v1/namespaces/${namespace}/${resource}/${name}`;
  }

  /** The canary's weight, over all rules, and what an earlier judge wrote down about a canary, if one did. */
  async read(): Promise<{ weight: number; verdict: string | undefined }> {
    const route = await this.#get();
    const weight = this.#backends(route).reduce((sum, { weight }) => sum + weight, 0);
    return { weight, verdict: route.metadata.annotations?.[LABELS.verdict] };
  }

  /**
   * Gives the canary no more traffic, and writes down why. Tried again where somebody else changed the route meanwhile.
   * @throws KubernetesApiError when the API server refuses.
   */
  async close(verdict: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const route = await this.#get();
        await this.api.patch(this.#path, this.#closing(route, verdict), FIELD_MANAGER);
        return;
      } catch (error) {
        // 409 and 422: the route is another one than a moment ago.
        const isStale = error instanceof KubernetesApiError && [409, 422].includes(error.status ?? 0);
        if (!isStale || attempt === ATTEMPTS) throw error;
      }
    }
  }

  #closing({ metadata, spec }: Route, verdict: string): readonly object[] {
    const annotation =
      metadata.annotations === undefined
        ? { op: 'add', path: '/metadata/annotations', value: { [LABELS.verdict]: verdict } }
        : { op: 'add', path: `/metadata/annotations/${LABELS.verdict.replace('/', '~1')}`, value: verdict };
    return [
      { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
      ...this.#backends({ metadata, spec }).map(({ path }) => ({ op: 'add', path: `${path}/weight`, value: 0 })),
      annotation,
    ];
  }

  #backends({ spec }: Route): readonly { path: string; weight: number }[] {
    return (spec.rules ?? []).flatMap(({ backendRefs = [] }, rule) =>
      backendRefs.flatMap(({ name, weight = 1 }, i) =>
        name === this.canary ? [{ path: `/spec/rules/${rule}/backendRefs/${i}`, weight }] : [],
      ),
    );
  }

  async #get(): Promise<Route> {
    return (await this.api.get(this.#path)) as Route;
  }
}
