import type { Handler } from '../open-inference-protocol';
import type { Route } from '../router';
import { describeOpenApi, type DescribedModel } from './openapi';
import type { RouteContext } from './route-context';

/** Descriptions of each model's paths, and of all together, for people and code generators. */
export function openApiRoutes({ models }: RouteContext): readonly Route<Handler>[] {
  const ofModel: Handler = (exchange, { model = '', version }) => {
    const found = models().find({ name: model, version });
    const target = found.target ?? found.assertReady().target;
    exchange.sendJson(200, describeOpenApi([{ name: found.name, version, target }]));
  };
  const ofServer: Handler = (exchange) => {
    const described = models().names.flatMap((name): readonly DescribedModel[] => {
      const { target } = models().find({ name });
      return target === undefined ? [] : [{ name, target }];
    });
    exchange.sendJson(200, describeOpenApi(described));
  };
  return [
    { method: 'GET', path: '/openapi.json', group: 'metadata', handler: ofServer },
    { method: 'GET', path: '/v2/models/{model}/openapi.json', group: 'metadata', handler: ofModel },
    { method: 'GET', path: '/v2/models/{model}/versions/{version}/openapi.json', group: 'metadata', handler: ofModel },
  ];
}
