import { processorFlags } from '../../onnx/compiled-target';

/** What a processor has for products of 8-bit numbers, fastest first, by the names of Linux's flags. */
const INT8_INSTRUCTIONS = ['amx_int8', 'avx512_vnni', 'avx_vnni', 'asimddp', 'i8mm'];

/**
 * Instructions of this machine that multiply 8-bit numbers. Without one of them ONNX Runtime widens the numbers first, and an INT8
 * model may be slower than its source (ONNX Runtime's quantization guide, "Performance consideration").
 * @returns undefined where the machine does not tell, as off Linux
 */
export function int8Instructions(cpuinfo?: string): readonly string[] | undefined {
  const flags = processorFlags(cpuinfo);
  return flags === undefined ? undefined : INT8_INSTRUCTIONS.filter((name) => flags.includes(name));
}
