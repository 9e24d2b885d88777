import { ModelToolError } from '../tool-error';
import { showJson } from '../../onnx/show-json';
import type { Box, LabelKind, LabelledBox, LabelOf } from './dataset';

/** How the four numbers of a box are meant: two corners; a corner, width and height; a centre, width and height. */
export type BoxFormat = 'xyxy' | 'xywh' | 'cxcywh';

/** What is needed to make a label of what a data set has. */
export interface LabelReading<K extends LabelKind = LabelKind> {
  readonly kind: K;
  /** Names of the classes, by their index. @default - labels are indexes */
  readonly classNames?: readonly string[];
  /** How many classes the model tells apart: an index from there on is refused. @default - any number of them */
  readonly classes?: number;
  /** @default 'xyxy' */
  readonly boxFormat?: BoxFormat;
}

/**
 * The label of a row, from what JSON, a cell or an array has for it.
 * @param at For people: `row 17 of data.csv`
 * @throws ModelToolError LABEL_INVALID saying what it must be
 */
export function readLabel<K extends LabelKind>(given: unknown, reading: LabelReading<K>, at: string): LabelOf[K] {
  const readers: { readonly [Kind in LabelKind]: () => LabelOf[Kind] } = {
    none: () => undefined,
    class: () => readClass(given, reading, at),
    classes: () => readClasses(given, reading, at),
    numbers: () => readNumbers(given, at),
    boxes: () => readBoxes(given, reading, at),
  };
  return readers[reading.kind]();
}

/** The index of a class, by index or by name. */
function readClass(given: unknown, { classNames, classes }: LabelReading, at: string): number {
  const named = typeof given === 'string' ? (classNames?.indexOf(given) ?? -1) : -1;
  const index = named >= 0 ? named : toIndex(given);
  const most = classes ?? classNames?.length;
  if (index !== undefined && index >= 0 && (most === undefined || index < most)) return index;
  const range = most === undefined ? 'a whole number from 0 up' : `a whole number from 0 to ${most - 1}`;
  const names =
    classNames === undefined ? ', or class names must be given in their order' : ' or the name of one of the classes';
  throw new ModelToolError('LABEL_INVALID', at, `the label must be ${range}${names}, got ${showJson(given)}`);
}

function toIndex(given: unknown): number | undefined {
  const number = typeof given === 'string' && /^\d{1,9}(\.0+)?$/.test(given) ? Number(given) : given;
  if (typeof number === 'bigint') return number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : undefined;
  return Number.isSafeInteger(number) ? (number as number) : undefined;
}

/** CSV has no lists: names or indexes with `|` between them. */
const SEPARATOR = '|';

function readClasses(given: unknown, reading: LabelReading, at: string): readonly number[] {
  const list =
    typeof given === 'string'
      ? given.split(SEPARATOR).filter((part) => part !== '')
      : Array.isArray(given)
        ? given
        : undefined;
  if (list === undefined) {
    throw new ModelToolError('LABEL_INVALID', at, `the label must be a list of classes, got ${showJson(given)}`);
  }
  const indexes = (list as readonly unknown[]).map((each) => readClass(each, reading, at));
  return [...new Set(indexes)].sort((a, b) => a - b);
}

function readNumbers(given: unknown, at: string): readonly number[] {
  const list = Array.isArray(given) ? (given as readonly unknown[]) : [given];
  return list.map((each) => {
    const isText = typeof each === 'string' && each.trim() !== '';
    const number = isText || typeof each === 'bigint' ? Number(each) : each;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
    throw new ModelToolError('LABEL_INVALID', at, `the label must be a finite number, got ${showJson(each)}`);
  });
}

function readBoxes(given: unknown, reading: LabelReading, at: string): readonly LabelledBox[] {
  const fields = given as { boxes?: unknown; classes?: unknown; crowd?: unknown } | null | undefined;
  const { boxes, classes, crowd = [] } = typeof fields === 'object' && fields !== null ? fields : {};
  const isWhole =
    Array.isArray(boxes) && Array.isArray(classes) && classes.length === boxes.length && Array.isArray(crowd);
  if (!isWhole) {
    throw new ModelToolError(
      'LABEL_INVALID',
      at,
      `the label must be {"boxes": [[…], …], "classes": [as many]}, got ${showJson(given)}`,
    );
  }
  return (boxes as readonly unknown[]).map((box, i) => ({
    ...readBox(box, reading.boxFormat ?? 'xyxy', at),
    classIndex: readClass((classes as readonly unknown[])[i], reading, at),
    isCrowd: Boolean((crowd as readonly unknown[])[i]),
  }));
}

function readBox(given: unknown, format: BoxFormat, at: string): Box {
  const sizes = Array.isArray(given) ? (given as readonly unknown[]) : [];
  if (sizes.length !== 4 || !sizes.every((size) => Number.isFinite(size))) {
    throw new ModelToolError('LABEL_INVALID', at, `a box must be four finite numbers, got ${showJson(given)}`);
  }
  const box = boxOf(sizes as [number, number, number, number], format);
  if (box.x2 >= box.x1 && box.y2 >= box.y1) return box;
  throw new ModelToolError(
    'LABEL_INVALID',
    at,
    `a box (${format}) must not end before it begins, got ${showJson(given)}: is its format another one?`,
  );
}

/** Corners of a box, however its four numbers are meant. */
export function boxOf([a, b, c, d]: readonly [number, number, number, number], format: BoxFormat): Box {
  switch (format) {
    case 'xyxy':
      return { x1: a, y1: b, x2: c, y2: d };
    case 'xywh':
      return { x1: a, y1: b, x2: a + c, y2: b + d };
    case 'cxcywh':
      return { x1: a - c / 2, y1: b - d / 2, x2: a + c / 2, y2: b + d / 2 };
  }
}
