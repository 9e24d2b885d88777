import type { Acceptance } from '../compare/acceptance';
import { readEditableModel, type EditableModel } from '../../onnx/edit/editable-model';
import { writeModel } from '../../onnx/edit/write-model';
import type { EditOptions, EditReport } from '../edit/edit-model';
import type { LeftWhole } from '../edit/weights';
import { rewriteModel } from '../optimize/rewrite-model';
import { timeBoth, type SpeedGain } from '../optimize/time-both';
import { ModelToolError } from '../tool-error';
import type { ChannelNorm } from './channels/choose-channels';
import { pruneChannels, type ChannelReport } from './channels/prune-channels';
import { zeroByPattern, zeroSmallest, type PruneScope, type ZeroReport } from './zero-weights';

/**
 * How a model is pruned. `magnitude` sets the smallest weights to zero; `n:m` leaves n of m neighbours along the input axis;
 * `channels` takes whole channels out, so that tensors are smaller and runs are faster without anything that understands zeros.
 */
export type PruneMethod =
  | { readonly kind: 'magnitude'; readonly sparsity: number; readonly scope?: PruneScope }
  | { readonly kind: 'n:m'; readonly keep: number; readonly of: number }
  | {
      readonly kind: 'channels';
      readonly ratio: number;
      /** @default 'layer' */
      readonly scope?: PruneScope;
      /** @default 'l2' */
      readonly norm?: ChannelNorm;
      /** @default 1 */
      readonly roundTo?: number;
    };

export interface PruneOptions extends EditOptions {
  readonly method: PruneMethod;
  /** Names of weights and of nodes that are left whole; `*` stands for any characters. @default - none */
  readonly exclude?: readonly string[];
}

export type PruneDetail =
  | ({ readonly kind: 'magnitude' | 'n:m' } & ZeroReport)
  | ({ readonly kind: 'channels'; readonly speed: SpeedGain } & ChannelReport);

/** What is asked of a pruned model when nobody says it: nine of ten rows keep their class. */
export const PRUNE_ACCEPTANCE: Acceptance = { minAgreement: 0.9, tolerance: 0.1 };

/**
 * Makes a model that has fewer weights, or weights that are zero, and compares it with its source.
 * @throws ModelToolError OPTION_INVALID, LAYER_UNKNOWN, NOTHING_TO_CHANGE when no layer can be pruned; and as `rewriteModel`
 */
export async function pruneModel(options: PruneOptions): Promise<EditReport<PruneDetail>> {
  const { method, exclude = [], onProgress = () => {} } = options;
  checkMethod(method);
  return rewriteModel<PruneDetail>(
    options,
    `slipway model prune ${flagsOf(method)}`,
    PRUNE_ACCEPTANCE,
    async (file, facts) => {
      const model = readEditableModel(options.source);
      if (method.kind !== 'channels') {
        const detail = { kind: method.kind, ...zero(model, method, exclude) };
        assertChanged(detail, options.source);
        writeModel(model, file);
        return { detail, tools: {} };
      }
      const { ratio, scope = 'layer', norm = 'l2', roundTo = 1 } = method;
      const pruned = pruneChannels(model, { ratio, scope, norm, roundTo, exclude });
      assertChanged(pruned, options.source);
      writeModel(model, file);
      onProgress('timing it and its source');
      const speed = await timeBoth(file, options.source, facts, options);
      return { detail: { kind: method.kind, ...pruned, speed }, tools: {} };
    },
  );
}

function zero(
  model: EditableModel,
  method: Exclude<PruneMethod, { kind: 'channels' }>,
  exclude: readonly string[],
): ZeroReport {
  if (method.kind === 'n:m') return zeroByPattern(model, { keep: method.keep, of: method.of, exclude });
  return zeroSmallest(model, { sparsity: method.sparsity, scope: method.scope ?? 'global', exclude });
}

function assertChanged(
  { weights, left }: { readonly weights: readonly unknown[]; readonly left: readonly LeftWhole[] },
  source: string,
): void {
  if (weights.length > 0) return;
  const reasons = left.slice(0, 3).map(({ name, reason }) => `'${name}': ${reason}`);
  const said =
    reasons.length === 0 ? 'has no weights of layers' : `has nothing that can be pruned; ${reasons.join('; ')}`;
  throw new ModelToolError('NOTHING_TO_CHANGE', source, said);
}

/** As somebody would type them. */
function flagsOf(method: PruneMethod): string {
  switch (method.kind) {
    case 'magnitude':
      return `--method magnitude --sparsity ${method.sparsity} --scope ${method.scope ?? 'global'}`;
    case 'n:m':
      return `--method ${method.keep}:${method.of}`;
    case 'channels': {
      const { ratio, scope = 'layer', norm = 'l2', roundTo = 1 } = method;
      return `--method channels --ratio ${ratio} --scope ${scope} --norm ${norm} --round-to ${roundTo}`;
    }
  }
}

/** Groups of more are no pattern that anything is built for, and would be sorted one by one. */
const MAX_GROUP = 1_024;

function checkMethod(method: PruneMethod): void {
  const refuse = (option: string, must: string, got: number): never => {
    throw new ModelToolError('OPTION_INVALID', option, `must be ${must}, got ${got}`);
  };
  const isShare = (share: number) => share > 0 && share < 1;
  switch (method.kind) {
    case 'magnitude':
      if (!isShare(method.sparsity)) refuse('--sparsity', 'between 0 and 1', method.sparsity);
      return;
    case 'n:m': {
      const { keep, of } = method;
      if (!Number.isInteger(of) || of < 2 || of > MAX_GROUP)
        refuse('--method n:m', `of 2 to ${MAX_GROUP} neighbours`, of);
      if (!Number.isInteger(keep) || keep < 1 || keep >= of) refuse('--method n:m', `1 to ${of - 1} of ${of}`, keep);
      return;
    }
    case 'channels': {
      const { ratio, roundTo = 1 } = method;
      if (!isShare(ratio)) refuse('--ratio', 'between 0 and 1', ratio);
      if (!Number.isInteger(roundTo) || roundTo < 1) refuse('--round-to', 'a whole number from 1 up', roundTo);
      return;
    }
  }
}
