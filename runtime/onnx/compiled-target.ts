import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isRecord } from '../spec/manifest-fields';

/** Folder of a model version that holds what was compiled for one kind of machine each. */
export const COMPILED_FOLDER = 'compiled';
/** Says, in the folder of a target, what it was compiled for. */
export const TARGET_FILE = 'target.json';

/**
 * What a compiled model is for. ONNX Runtime packs weights as its kernels read them, and chooses kernels by the processor: the
 * same file is wrong for another version of it, and for a processor with other instructions.
 */
export interface CompiledTarget {
  /** Of the portable `model.onnx` beside it. */
  readonly modelSha256: string;
  /** Version, such as `1.30.0`. */
  readonly onnxRuntime: string;
  /** `linux-x64`, as Node names them. */
  readonly platform: string;
  /** Instructions by which kernels are chosen, sorted, by the names of Linux's flags. */
  readonly cpuFeatures: readonly string[];
}

/** Flags that ONNX Runtime's kernels for matrix products and convolutions are chosen by. */
const FEATURES = new Set(
  (
    'sse4_1 avx avx2 fma f16c avx_vnni avx512f avx512bw avx512dq avx512vl avx512cd avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16 ' +
    'asimd asimdhp fphp asimddp i8mm bf16 sve sve2 sme'
  ).split(' '),
);

/** Every instruction set extension that the processor says it has. @returns undefined off Linux, where nobody is asked */
export function processorFlags(cpuinfo = '/proc/cpuinfo'): readonly string[] | undefined {
  try {
    const text = readFileSync(cpuinfo, 'utf8');
    return /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/);
  } catch {
    return undefined;
  }
}

/** The target of this machine. @returns undefined where it does not tell what it is: then nothing compiled fits it */
export function targetOfThisMachine(
  { modelSha256, onnxRuntime }: Pick<CompiledTarget, 'modelSha256' | 'onnxRuntime'>,
  cpuinfo?: string,
): CompiledTarget | undefined {
  const flags = processorFlags(cpuinfo);
  if (flags === undefined) return undefined;
  const cpuFeatures = [...new Set(flags.filter((flag) => FEATURES.has(flag)))].sort();
  return { modelSha256, onnxRuntime, platform: `${process.platform}-${process.arch}`, cpuFeatures };
}

/** Where in a version's folder a target lies: `compiled/<16 digits>`. The digits are made of all that it was compiled for. */
export function folderOfTarget({ modelSha256, onnxRuntime, platform, cpuFeatures }: CompiledTarget): string {
  const key = JSON.stringify([modelSha256, onnxRuntime, platform, cpuFeatures]);
  return `${COMPILED_FOLDER}/${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
}

/** What `target.json` says, or undefined where it is no such file. */
export function parseTarget(text: string): CompiledTarget | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { modelSha256, onnxRuntime, platform, cpuFeatures } = value;
  const areTexts = [modelSha256, onnxRuntime, platform].every((each) => typeof each === 'string');
  const isList = Array.isArray(cpuFeatures) && cpuFeatures.every((each) => typeof each === 'string');
  return areTexts && isList ? (value as unknown as CompiledTarget) : undefined;
}
