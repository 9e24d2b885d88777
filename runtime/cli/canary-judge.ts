import type { CanaryRoute } from '../canary/canary-route';
import { CliError, UsageError } from './cli-error';
import type { Command, ParsedArguments } from './command';
import { SpecError } from '../spec/errors';
import { planVerdict, VERDICT_DEFAULTS, type VerdictRules } from '../spec/kubernetes/verdict-rules';

/** No verdict: too few requests, or nobody to ask. Exit status 2, so that it is not taken for a bad canary. */
class NoVerdictError extends CliError {
  override readonly exitCode = 2;
}

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** `slipway canary judge`: what the Job of a canary runs, as `node /app/cli.mjs canary judge`, and people by hand. */
export const canaryJudge: Command = {
  arguments: [],
  options: {
    'prometheus-url': {
      type: 'string',
      value: 'url',
      required: true,
      description: 'Prometheus that scrapes both tracks',
    },
    namespace: { type: 'string', value: 'name', required: true, description: 'label `namespace` of both tracks' },
    stable: { type: 'string', value: 'service', required: true, description: 'label `service` of the stable track' },
    canary: { type: 'string', value: 'service', required: true, description: 'label `service` of the canary' },
    'bake-seconds': numeric('how long the canary is watched', VERDICT_DEFAULTS.bakeSeconds),
    'min-requests': numeric('requests that each track must have answered', VERDICT_DEFAULTS.minRequests),
    'max-error-increase': numeric(
      "how much larger than the stable track's the share of failed or refused requests may be",
      VERDICT_DEFAULTS.maxErrorIncrease,
    ),
    'max-latency-ratio': numeric(
      "how many times the stable track's p99 the canary's may be",
      VERDICT_DEFAULTS.maxLatencyRatio,
    ),
    'poll-seconds': numeric('time between two looks at the metrics', 15),
    'http-route': {
      type: 'string',
      value: 'name',
      description: 'HTTPRoute in which a bad canary gets weight 0, with the token of this pod',
    },
    'grpc-route': { type: 'string', value: 'name', description: 'GRPCRoute in which it does, too' },
    revision: {
      type: 'string',
      value: 'text',
      description: 'tells this canary from the one before it in the route (none)',
    },
    'service-account-folder': {
      type: 'string',
      value: 'folder',
      description: 'where token and ca.crt lie (/var/run/secrets/kubernetes.io/serviceaccount)',
    },
  },
  details:
    'Exit status 0: good. 1: bad, and the canary has no traffic any more where a route was named. 2: no verdict, for there were too few requests or ' +
    'nobody answered; the canary keeps its weight.',
  run: async (given, terminal) => {
    const { judgeCanary } = await import('../canary/judge-canary.js');
    const [namespace, stable, canary] = ['namespace', 'stable', 'canary'].map((option) => nameOf(given, option));
    const options = {
      prometheusUrl: urlOf(given),
      namespace: namespace!,
      stable: stable!,
      canary: canary!,
      rules: rulesOf(given),
      revision: given.text('revision') ?? 'none',
      pollSeconds: numberOf(given, 'poll-seconds') ?? 15,
      routes: await routesOf(given, namespace!, canary!),
    };
    const { outcome, sentence } = await judgeCanary(options).catch((error: Error) => {
      throw new NoVerdictError(`no verdict on ${canary}: ${error.message}`);
    });
    if (outcome === 'good') return terminal.out(`good: ${sentence}`);
    throw outcome === 'bad' ? new CliError(`bad: ${sentence}`) : new NoVerdictError(`${outcome}: ${sentence}`);
  },
};

function numeric(description: string, fallback: number) {
  return { type: 'string', value: 'number', description: `${description} (${fallback})` } as const;
}

function nameOf(given: ParsedArguments, option: string): string {
  const name = given.text(option)!;
  if (!DNS_LABEL.test(name))
    throw new UsageError(`slipway canary judge: --${option} must be a name of Kubernetes, got '${name}'`);
  return name;
}

function urlOf(given: ParsedArguments): string {
  const url = given.text('prometheus-url')!;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError(`slipway canary judge: --prometheus-url must begin with http:// or https://, got '${url}'`);
  }
  return url;
}

function numberOf(given: ParsedArguments, option: string): number | undefined {
  const text = given.text(option);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) {
    throw new UsageError(`slipway canary judge: --${option} must be a number, got '${text}'`);
  }
  return value;
}

function rulesOf(given: ParsedArguments): VerdictRules {
  const chosen = {
    bakeSeconds: numberOf(given, 'bake-seconds'),
    minRequests: numberOf(given, 'min-requests'),
    maxErrorIncrease: numberOf(given, 'max-error-increase'),
    maxLatencyRatio: numberOf(given, 'max-latency-ratio'),
  };
  const options = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
  try {
    return planVerdict(options, 'verdict');
  } catch (error) {
    throw SpecError.is(error) ? new UsageError(`slipway canary judge: ${error.message}`) : error;
  }
}

async function routesOf(given: ParsedArguments, namespace: string, canary: string): Promise<readonly CanaryRoute[]> {
  const named = (['http-route', 'grpc-route'] as const).flatMap((option) =>
    given.text(option) === undefined ? [] : [{ resource: ROUTES[option], name: nameOf(given, option) }],
  );
  if (named.length === 0) return [];
  const { KubernetesApi } = await import('../canary/kubernetes-api.js');
  const { CanaryRoute } = await import('../canary/canary-route.js');
  const api = new KubernetesApi(given.text('service-account-folder'));
  return named.map(({ resource, name }) => new CanaryRoute(api, namespace, resource, name, canary));
}

const ROUTES = { 'http-route': 'httproutes', 'grpc-route': 'grpcroutes' } as const;
