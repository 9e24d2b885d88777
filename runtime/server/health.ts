import { PATHS } from '../spec/endpoints';
import type { Handler } from './open-inference-protocol';
import type { Route } from './router';
import type { ServedModels } from './served-models';

export interface HealthOptions {
  readonly models: () => ServedModels;
  readonly isDraining: () => boolean;
  readonly runStuckSeconds: number;
}

/** The probes of the contract, and the Open Inference Protocol's names for them. */
export function healthRoutes(options: HealthOptions): readonly Route<Handler>[] {
  const { models, isDraining, runStuckSeconds } = options;
  const live: Handler = (exchange) => {
    const seconds = models().longestRunSeconds;
    return seconds > runStuckSeconds
      ? exchange.sendJson(503, {
          live: false,
          reason: `a run has taken ${Math.round(seconds)} s, more than ${runStuckSeconds}`,
        })
      : exchange.sendJson(200, { live: true });
  };
  const started: Handler = (exchange) =>
    models().hasStarted
      ? exchange.sendJson(200, { started: true })
      : exchange.sendJson(503, { started: false, reason: whyNotReady(models()) });
  const ready: Handler = (exchange) => {
    if (isDraining()) return exchange.sendJson(503, { ready: false, reason: 'draining' });
    if (models().isReady) return exchange.sendJson(200, { ready: true });
    return exchange.sendJson(503, { ready: false, reason: whyNotReady(models()) });
  };
  return [
    { method: 'GET', path: PATHS.live, group: 'public', handler: live },
    { method: 'GET', path: PATHS.startup, group: 'public', handler: started },
    { method: 'GET', path: PATHS.ready, group: 'public', handler: ready },
    { method: 'GET', path: '/v2/health/live', group: 'public', handler: live },
    { method: 'GET', path: '/v2/health/ready', group: 'public', handler: ready },
  ];
}

export function whyNotReady({ missing }: ServedModels): string {
  if (missing.length === 0) return 'no models yet';
  return missing.map(({ name, version, reason }) => `model '${name}' version ${version}: ${reason}`).join('; ');
}
