import {
  isByteCount,
  isNumber,
  isRecord,
  isRecordArray,
  isRecordOf,
  isSha256,
  isText,
  isTime,
  type RefuseField,
} from './manifest-fields';

/** A file that evidence speaks of. The names are those of the published version: the model is `model.onnx`. */
export interface FileDigest {
  readonly path: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** One limit that an evaluation was held to. */
export interface EvaluationGate {
  /** One of the evaluation's metrics or speeds: `accuracy`, `p99Ms`. */
  readonly metric: string;
  /** `min`: the value must reach the limit; `max`: it must not exceed it. */
  readonly bound: 'min' | 'max';
  readonly limit: number;
  readonly value: number;
  readonly passed: boolean;
}

/** What running a model over labelled rows showed, written by `slipway model evaluate` and kept in the manifest. */
export interface EvaluationEvidence {
  /** The files that were evaluated, every file of the model: evidence counts for these bytes and for no others. */
  readonly model: readonly FileDigest[];
  readonly dataset: {
    readonly name: string;
    /** Of the data set's bytes, lower-case hexadecimal. */
    readonly sha256: string;
    readonly rows: number;
  };
  /**
   * SHA-256 of the preprocessing that made the inputs of the rows, with the files that it names.
   * @default - the rows were tensors, or pictures that were only stretched: nothing was measured of preprocessing
   */
  readonly preprocessing?: { readonly sha256: string };
  /** `classification`, `regression`, `detection`, `embedding`. */
  readonly task: string;
  /** By name; shares are from 0 to 1. */
  readonly metrics: Readonly<Record<string, number>>;
  /** By name, with the unit last: `p50Ms`, `p99Ms`, `rowsPerSecond`. @default - speed was not measured */
  readonly speed?: Readonly<Record<string, number>>;
  readonly gates: readonly EvaluationGate[];
  /** Whether every gate was passed. Without gates nothing was asked for, and nothing is proven. */
  readonly passed: boolean;
  /** ISO 8601, in UTC. */
  readonly evaluatedAt: string;
  /** Versions of what ran: `{ "slipway": "0.1.0", "onnxruntime": "1.30.0" }`. */
  readonly tools: Readonly<Record<string, string>>;
}

const BOUNDS: ReadonlySet<unknown> = new Set(['min', 'max']);
const MAX_NAME = 256;

/** Checks the shape of evidence, and that its verdict is what its numbers say. */
export function checkEvaluation(value: unknown, at: string, refuse: RefuseField): asserts value is EvaluationEvidence {
  if (!isRecord(value)) return refuse(at, 'an object', value);
  checkFileDigests(value['model'], `${at}.model`, refuse);
  const { dataset, gates, preprocessing } = value;
  if (!isRecord(dataset)) return refuse(`${at}.dataset`, 'an object', dataset);
  if (!isText(dataset['name'], MAX_NAME)) refuse(`${at}.dataset.name`, 'a name', dataset['name']);
  if (!isSha256(dataset['sha256']))
    refuse(`${at}.dataset.sha256`, '64 lower-case hexadecimal digits', dataset['sha256']);
  if (!isByteCount(dataset['rows']) || dataset['rows'] === 0) {
    refuse(`${at}.dataset.rows`, 'a whole number from 1 up', dataset['rows']);
  }
  if (preprocessing !== undefined && !(isRecord(preprocessing) && isSha256(preprocessing['sha256']))) {
    refuse(`${at}.preprocessing`, 'an object with sha256, 64 lower-case hexadecimal digits', preprocessing);
  }
  if (!isText(value['task'], MAX_NAME)) refuse(`${at}.task`, 'a name', value['task']);
  if (!isRecordOf(value['metrics'], isNumber)) refuse(`${at}.metrics`, 'numbers by name', value['metrics']);
  if (value['speed'] !== undefined && !isRecordOf(value['speed'], isNumber)) {
    refuse(`${at}.speed`, 'numbers by name', value['speed']);
  }
  if (!isRecordArray(gates)) return refuse(`${at}.gates`, 'a list of gates', gates);
  gates.forEach((gate, i) => checkGate(gate, `${at}.gates[${i}]`, refuse));
  const passed = gates.every((gate) => gate['passed'] === true);
  if (value['passed'] !== passed) refuse(`${at}.passed`, `${passed}, as its gates say`, value['passed']);
  if (!isTime(value['evaluatedAt'])) refuse(`${at}.evaluatedAt`, 'a time in UTC', value['evaluatedAt']);
  checkTools(value['tools'], `${at}.tools`, refuse);
}

function checkGate(gate: Record<string, unknown>, at: string, refuse: RefuseField): void {
  const { metric, bound, limit, value, passed } = gate;
  if (!isText(metric, MAX_NAME)) refuse(`${at}.metric`, 'a name', metric);
  if (!BOUNDS.has(bound)) refuse(`${at}.bound`, "'min' or 'max'", bound);
  if (!isNumber(limit)) return refuse(`${at}.limit`, 'a number', limit);
  if (!isNumber(value)) return refuse(`${at}.value`, 'a number', value);
  const isPassed = bound === 'min' ? value >= limit : value <= limit;
  if (passed !== isPassed) refuse(`${at}.passed`, `${isPassed}, as its numbers say`, passed);
}

/** A list of at least one file. */
export function checkFileDigests(value: unknown, at: string, refuse: RefuseField): void {
  if (!isRecordArray(value) || value.length === 0) return refuse(at, 'a list of files', value);
  value.forEach(({ path, sha256 }, i) => {
    if (!isText(path, 1_024)) refuse(`${at}[${i}].path`, 'the name of a file', path);
    if (!isSha256(sha256)) refuse(`${at}[${i}].sha256`, '64 lower-case hexadecimal digits', sha256);
  });
}

export function checkTools(value: unknown, at: string, refuse: RefuseField): void {
  if (!isRecordOf(value, (version) => isText(version, MAX_NAME))) refuse(at, 'versions by name', value);
}
