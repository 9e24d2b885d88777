import { showJson } from '../../onnx/show-json';
import { ModelToolError } from '../tool-error';
import { listArchive, readTexts } from './check-archive';

/** A graph of a hundred thousand nodes takes a hundred megabytes. */
const MAX_JSON_BYTES = 2 ** 29;

/** Words of the expressions in which PyTorch writes sizes. It has Python evaluate them, so nothing else may be in there. */
const WORDS = new Set(
  `Symbol Integer Rational Float Number Mul Add Pow Mod Max Min Abs floor ceiling Eq Ne Lt Le Gt Ge And Or Not Piecewise
  FloorDiv CleanDiv CeilDiv ModularIndexing PythonMod IntTrueDiv FloatTrueDiv TruncToInt RoundToInt CeilToInt FloorToInt ToFloat
  Identity Where true false True False positive integer real nonnegative and or not oo int_oo`.split(/\s+/),
);
const NOT_CODE = /^[\w\s+\-*/%(),.=<>!&|~]*$/;

/**
 * Holds an exported program (.pt2) against what running it may mean: its operators are looked up by name in PyTorch, and its sizes are
 * expressions that Python evaluates. Both could be anything else, and compiled code would just be loaded.
 * @throws ModelToolError SOURCE_UNSAFE, SOURCE_UNREADABLE or SOURCE_TOO_LARGE
 */
export async function checkExportedProgram(file: string): Promise<void> {
  const compiled = (await listArchive(file)).find((name) => /(^|\/)aotinductor\/|\.(so|dylib|dll)$/.test(name));
  if (compiled !== undefined) {
    throw new ModelToolError(
      'SOURCE_UNSAFE',
      file,
      `holds compiled code, ${showJson(compiled)}: save it with torch.export.save`,
    );
  }
  const texts = await readTexts(file, /^([^/]+\/)?(models\/[^/]+|serialized_exported_program)\.json$/, MAX_JSON_BYTES);
  if (texts.length === 0) throw new ModelToolError('SOURCE_UNREADABLE', file, 'holds no exported program');
  for (const text of texts) {
    let program: unknown;
    try {
      program = JSON.parse(text);
    } catch (error) {
      throw new ModelToolError('SOURCE_UNREADABLE', file, `its program is damaged: ${(error as Error).message}`);
    }
    checkValue(program, file);
  }
}

function checkValue(program: unknown, file: string): void {
  const pending: unknown[] = [program];
  while (pending.length > 0) {
    const value = pending.pop();
    if (Array.isArray(value)) for (const item of value as readonly unknown[]) pending.push(item);
    else if (typeof value === 'object' && value !== null) checkFields(value as Record<string, unknown>, pending, file);
  }
}

function checkFields(fields: Record<string, unknown>, pending: unknown[], file: string): void {
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'expr_str') checkExpression(value, file);
    else if (name === 'guards_code') for (const guard of list(value)) checkExpression(withoutSizes(guard), file);
    else if (name === 'as_operator') checkTarget(value, file);
    else if (name === 'nodes')
      for (const node of list(value)) checkTarget((node as { target?: unknown } | null)?.target, file);
    // Names of dimensions are keys as well, and are evaluated.
    if (name === 'range_constraints') for (const symbol of Object.keys(value ?? {})) checkExpression(symbol, file);
    pending.push(value);
  }
}

function checkExpression(expression: unknown, file: string): void {
  const refused = new ModelToolError(
    'SOURCE_UNSAFE',
    file,
    `has an expression that is no size of a tensor, and Python would evaluate it: ${showJson(expression)}`,
  );
  if (typeof expression !== 'string') throw refused;
  const plain = expression.replace(/(['"])[A-Za-z_]\w*\1/g, '0');
  if (!NOT_CODE.test(plain)) throw refused;
  // A dot belongs to a number alone.
  if (/\.\s*[A-Za-z_]/.test(plain.replace(/\d+\.\d*/g, '0'))) throw refused;
  for (const word of plain.match(/[A-Za-z_]\w*/g) ?? []) {
    if (!WORDS.has(word) && !/^[a-z]{1,3}\d+$/.test(word)) throw refused;
  }
}

/** Guards name sizes of inputs: `L['x'].size()[0]`. */
function withoutSizes(guard: unknown): unknown {
  return typeof guard === 'string' ? guard.replace(/\bL(\[['"]?\w+['"]?\])+\.(size|stride)\(\)\[\d+\]/g, 's0') : guard;
}

/** Operators are registered with PyTorch; everything else it would find by walking from module to module. */
function checkTarget(target: unknown, file: string): void {
  if (typeof target !== 'string') return;
  const isOperator =
    /^torch\.ops\.[a-z]\w*\.[A-Za-z]\w*(\.[A-Za-z]\w*)?$/.test(target) ||
    /^_?operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|getitem|eq|ne|lt|le|gt|ge|and_|or_|xor|lshift|rshift|not_)$/.test(
      target,
    ) ||
    /^(torch\.)?(sym_(not|min|max|sum|ite|int|float|sqrt)|_sym_sqrt)$/.test(target) ||
    /^math\.(ceil|floor|trunc|sqrt)$/.test(target) ||
    /^(builtins\.)?round$/.test(target);
  if (!isOperator) {
    throw new ModelToolError('SOURCE_UNSAFE', file, `calls ${showJson(target)}, which is no operator of PyTorch`);
  }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}
