import type { Handler } from '../open-inference-protocol';
import type { Route } from '../router';
import { defaultModel } from './default-model';
import { plainCodec } from './plain-codec';
import type { RouteContext } from './route-context';

/** `/predict`: any body that says of what type it is, for the only model or the one that the path names. */
export function predictRoutes(context: RouteContext): readonly Route<Handler>[] {
  const predict: Handler = (exchange, { model, version }) =>
    context.inference.answer(
      exchange,
      { name: model ?? defaultModel(context), version },
      plainCodec('predict', exchange),
    );
  return ['/predict', '/predict/{model}', '/predict/{model}/versions/{version}'].map((path) => ({
    method: 'POST',
    path,
    group: 'infer',
    handler: predict,
  }));
}
