import { planInferenceService, type InferenceServicePlan } from '../inference-service-plan';
import type { EngineServiceSpec } from '../inference-service-spec';
import { assertKserveCan, renderKserveObjects, type KserveChoices, type KserveObjects } from './kserve';
import type { ServiceObjects } from './objects';
import type { KubernetesRefs } from './refs';
import { renderKubernetesObjects } from './render';
import { renderTraffic, withTraffic, type TrafficObjects, type TrafficRefs } from './render-traffic';
import { planTraffic, type TrafficPlan, type TrafficSpec } from './traffic';
import type { ServingEngine } from './traffic-options';

/** Everything about a service on Kubernetes, decided and rendered. */
export interface DecidedService<S> {
  readonly plan: InferenceServicePlan;
  readonly traffic: TrafficPlan;
  readonly objects: ServiceObjects<S> | KserveObjects<S>;
  /** Of canary, shadow, route and judge; with KServe they are its own. */
  readonly further: TrafficObjects<S>;
}

/** What an author says about the engine and about requests. */
export interface EngineChoices extends TrafficSpec, Pick<KserveChoices, 'wake'> {
  readonly engine?: ServingEngine;
}

/**
 * Plans and renders one service: what the Pulumi component declares, `slipway up` deploys and `slipway render` prints.
 * @throws SpecError for everything that can be refused while nothing exists yet.
 */
export function decideService<S>(
  spec: EngineServiceSpec,
  choices: EngineChoices,
  serviceRefs: KubernetesRefs<S>,
  tracks: TrafficRefs<S>,
): DecidedService<S> {
  const plan = planInferenceService(spec);
  if (choices.engine === 'kserve') {
    assertKserveCan(plan, choices);
    const traffic = planTraffic(spec, plan, choices, 'kserve');
    return {
      plan,
      traffic,
      objects: renderKserveObjects(plan, serviceRefs, traffic.canary, tracks.canary),
      further: {},
    };
  }
  const traffic = planTraffic(spec, plan, choices);
  const refs = withTraffic(serviceRefs, traffic);
  const further = renderTraffic(plan, refs, traffic, tracks);
  return { plan, traffic, objects: renderKubernetesObjects(plan, refs), further };
}
