// How long until a server is ready, with weights that are mapped and with weights that are read.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { layOutBigModel } from './models.mjs';
import { inTurn, ratio, serve, type Context, type Figure } from './measuring.mjs';

export async function mappedCreate(context: Context): Promise<Figure> {
  const forms = bigModel(context);
  const create = (path: string, mapped: boolean): number => {
    const args = [join(context.bench, 'create.mjs'), join(path, 'model.onnx'), mapped ? '1' : '0'];
    return Number(execFileSync(context.node, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  };
  return ratio(
    await inTurn(
      context,
      () => create(forms.external, true),
      () => create(forms.plain, false),
    ),
    (r) => r <= 0.1,
    ' ms',
  );
}

export async function mappedReady(context: Context): Promise<Figure> {
  const forms = bigModel(context);
  const ready = async (form: 'plain' | 'external'): Promise<number> => {
    const begin = performance.now();
    const settings = { SLIPWAY_WEIGHTS: form === 'external' ? 'mapped' : 'packed' };
    const server = await serve(context, [form], { folder: join(forms.plain, '..', '..'), settings });
    const milliseconds = performance.now() - begin;
    await server.stop();
    return milliseconds;
  };
  return ratio(
    await inTurn(
      context,
      () => ready('external'),
      () => ready('plain'),
    ),
    (r) => r <= 0.35,
    ' ms',
  );
}

let big: ReturnType<typeof layOutBigModel> | undefined;

function bigModel({ folder }: Context): ReturnType<typeof layOutBigModel> {
  big ??= layOutBigModel(join(folder, 'big'));
  return big;
}
