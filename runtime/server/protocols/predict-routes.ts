import type { Handler } from '../open-inference-protocol';
import type { Route } from '../router';
import { defaultModel } from './default-model';
import { plainCodec } from './plain-codec';
import type { RouteContext } from './route-context';

/** `/predict`: any body that says of what type it is, for the only model or the one that the path names. */
export function predictRoutes(context: RouteContext): readonly Route<Handler>[] {
  const { inference } = context;
  const predict: Handler = (exchange, { model, version }) => {
    const { name, codec } = inference.prepare('predict', exchange.startedAt, () => ({
      name: model ?? defaultModel(context),
      codec: plainCodec('predict', exchange),
    }));
    return inference.answer(exchange, { name, version }, codec);
  };
  return ['/predict', '/predict/{model}', '/predict/{model}/versions/{version}'].map((path) => ({
    method: 'POST',
    path,
    group: 'infer',
    handler: predict,
  }));
}
