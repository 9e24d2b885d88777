import type * as pulumi from '@pulumi/pulumi';
import {
  VERDICT_MARGIN_SECONDS,
  type CanaryChoices,
  type InferenceServicePlan,
  type ShadowChoices,
  type TrackObjects,
  type TrackRefs,
  type TrafficObjects,
  type TrafficPlan,
  type TrafficRefs,
} from '../runtime/spec';
import { declareObject } from './declare-object';
import { lateString } from './late-bound';
import type { Model, ModelArgs } from './model';
import { replicaTimeouts } from './replica-timeouts';

/** A second set of replicas with other models, that takes a share of the requests of the route. */
export interface CanaryArgs extends CanaryChoices {
  /** What it serves: every model of the service, for a request may come here or there. */
  readonly models: ModelArgs[];
  /** Image of its replicas. @default - the image of the service */
  readonly image?: pulumi.Input<string>;
}

/** Replicas with other models that are sent copies of requests, and whose answers nobody gets. */
export interface ShadowArgs extends ShadowChoices {
  /** What it serves: the same names, for clients ask for the same. */
  readonly models: ModelArgs[];
  /** Image of its replicas. @default - the image of the service */
  readonly image?: pulumi.Input<string>;
}

/** Whose children they are, and what happens when one fails. */
interface TrafficParent extends Pick<pulumi.CustomResourceOptions, 'hooks'> {
  readonly parent: pulumi.Resource;
  readonly dependsOn: readonly pulumi.Resource[];
}

export const DERIVED: Pick<TrafficRefs<pulumi.Output<string>>, 'derive'> = {
  derive: (text, from) => (typeof text === 'string' ? from(text) : text.apply(from)),
};

/** Where a track's models lie, and its image. */
export function trackRefs(
  models: readonly Model[],
  image: pulumi.Input<string> | undefined,
): TrackRefs<pulumi.Output<string>> {
  const mounted = models.flatMap(({ name, mount }) => (mount === undefined ? [] : [[name, mount] as const]));
  return {
    models: Object.fromEntries(models.map(({ name, location }) => [name, location])),
    mounts: Object.fromEntries(mounted),
    ...(image === undefined ? {} : { image: lateString(image) }),
  };
}

/**
 * Declares canary, shadow, routes and judge, each after what it leads to or looks at: requests come to replicas that are
 * ready, and a judge to a canary that has them.
 * @param stable what the route leads to, too.
 * @returns what must be there before the address of the service is one.
 */
export function declareTraffic(
  name: string,
  objects: TrafficObjects<pulumi.Output<string>>,
  traffic: TrafficPlan,
  stable: readonly pulumi.Resource[],
  child: TrafficParent,
): readonly pulumi.CustomResource[] {
  const canary = objects.canary && declareTrack(`${name}-canary`, objects.canary, traffic.canary!.plan, child);
  const shadow = objects.shadow && declareTrack(`${name}-shadow`, objects.shadow, traffic.shadow!.plan, child);
  const behind = { ...child, dependsOn: [...child.dependsOn, ...stable, ...(canary ?? []), ...(shadow ?? [])] };
  const routes = [objects.httpRoute, objects.grpcRoute].flatMap((route) =>
    route === undefined ? [] : [declareObject(name, takenBack(route), behind)],
  );
  if (objects.verdict !== undefined) declareVerdict(`${name}-verdict`, objects.verdict, traffic, routes, child);
  return routes;
}

function declareTrack(
  name: string,
  objects: TrackObjects<pulumi.Output<string>>,
  { lifecycle }: InferenceServicePlan,
  child: TrafficParent,
): readonly pulumi.CustomResource[] {
  const opts = { ...child, dependsOn: [...child.dependsOn] };
  const declared: pulumi.CustomResource[] = [];
  for (const object of Object.values(objects)) {
    const isAwaited = object.kind === 'Deployment' || object.kind === 'Service';
    // In the order of the renderer: what a pod needs comes before the Deployment.
    const dependsOn = object.kind === 'Deployment' ? [...opts.dependsOn, ...declared] : opts.dependsOn;
    const customTimeouts = isAwaited ? replicaTimeouts(lifecycle) : {};
    declared.push(declareObject(name, object, { ...opts, dependsOn, customTimeouts }));
  }
  return declared;
}

/**
 * A judge may have set weights meanwhile, and rules are one field to the API server: a new canary's weights have to win.
 * Without a change in the program nothing is written, so a verdict stands until there is one.
 */
function takenBack<T extends { readonly metadata: { readonly annotations?: object } }>(route: T): T {
  const annotations = { ...route.metadata.annotations, 'pulumi.com/patchForce': 'true' };
  return { ...route, metadata: { ...route.metadata, annotations } };
}

function declareVerdict(
  name: string,
  { job, ...rights }: NonNullable<TrafficObjects<pulumi.Output<string>>['verdict']>,
  { canary }: TrafficPlan,
  routes: readonly pulumi.Resource[],
  child: TrafficParent,
): void {
  const opts = { ...child, dependsOn: [...child.dependsOn] };
  const before = Object.values(rights).map((object) => declareObject(name, object, opts));
  // The Job ends by itself before that, and says why.
  const seconds = `${canary!.verdict!.bakeSeconds + VERDICT_MARGIN_SECONDS + 60}s`;
  // A job that failed is made again by the next update, and judges again; it would else stay failed, whatever was mended.
  const annotations = { ...job.metadata.annotations, 'pulumi.com/replaceUnready': 'true' };
  const judge = { ...job, metadata: { ...job.metadata, annotations } };
  declareObject(name, judge, {
    ...opts,
    dependsOn: [...opts.dependsOn, ...before, ...routes],
    customTimeouts: { create: seconds, update: seconds },
  });
}
