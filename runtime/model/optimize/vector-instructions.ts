import { readFileSync } from 'node:fs';

/** What a processor has for products of 8-bit numbers, fastest first, by the names of Linux's flags. */
const INT8_INSTRUCTIONS = ['amx_int8', 'avx512_vnni', 'avx_vnni', 'asimddp', 'i8mm'];

/**
 * Instructions of this machine that multiply 8-bit numbers. Without one of them ONNX Runtime widens the numbers first, and an INT8
 * model may be slower than its source (ONNX Runtime's quantization guide, "Performance consideration").
 * @returns undefined where the machine does not tell, as off Linux
 */
export function int8Instructions(cpuinfo = '/proc/cpuinfo'): readonly string[] | undefined {
  let text: string;
  try {
    text = readFileSync(cpuinfo, 'utf8');
  } catch {
    return undefined;
  }
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/);
  return flags === undefined ? undefined : INT8_INSTRUCTIONS.filter((name) => flags.includes(name));
}
