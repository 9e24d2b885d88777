import type { Tensor } from '../../onnx/tensor-encoding';
import type { UserRow } from '../../preprocess/preprocessor';

/** A box around an object, by its corners; `x2` and `y2` are the larger ones. */
export interface Box {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/** What should have been found in one picture. */
export interface LabelledBox extends Box {
  readonly classIndex: number;
  /** A box around many objects that nobody told apart: finding something in it is neither right nor wrong. @default false */
  readonly isCrowd?: boolean;
}

/** What the label of one row is, by its kind. */
export interface LabelOf {
  /** Rows are read without labels, which may be there or not. */
  readonly none: undefined;
  /** The index of its class, from 0. */
  readonly class: number;
  /** The indexes of all its classes, ascending. */
  readonly classes: readonly number[];
  /** One number, or several. */
  readonly numbers: readonly number[];
  /** The boxes in it; none is an answer, too. */
  readonly boxes: readonly LabelledBox[];
}

export type LabelKind = keyof LabelOf;

/** Rows that follow each other. */
export interface DataBatch<L> {
  /** Place of the first one in the data set, from 0. */
  readonly from: number;
  readonly rows: number;
  /**
   * One tensor for each input of the model, in its order: `rows` is their dimension 0. None where rows of users are asked for as
   * they are.
   */
  readonly inputs: readonly Tensor[];
  /** What users send, one for each row, where that is what the data set holds; `inputs` was made of it. @default - it holds tensors */
  readonly users?: readonly UserRow[];
  /** One for each row. */
  readonly labels: readonly L[];
}

export type DatasetFormat = 'npz' | 'images' | 'csv' | 'jsonl';

/** Labelled rows for a model, checked against its signature while they are read. */
export interface Dataset<L> {
  /** Name of the file or folder, without its path. */
  readonly name: string;
  readonly format: DatasetFormat;
  /** Undefined where only reading to the end tells it. */
  readonly rows: number | undefined;
  /** Names of classes that the data set itself has, by their index: the folders of pictures. */
  readonly classNames: readonly string[] | undefined;
  /**
   * All rows from the first on, in their order, in batches of at most `size` rows; a batch is shorter where the rows' shape
   * changes, and at the end. Memory holds a batch or two, however large the data set is. May be called again.
   * @throws ModelToolError DATA_… or LABEL_INVALID at the row that is wrong; DATA_EMPTY where there is none
   */
  batches(size: number): AsyncGenerator<DataBatch<L>, void, void>;
  /** SHA-256 of the file, or of a folder's paths and files: what evidence names the data set by. */
  digest(): Promise<string>;
}
