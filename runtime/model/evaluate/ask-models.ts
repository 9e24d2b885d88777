import { castNpy } from '../../onnx/npy';
import { sliceRows } from '../../onnx/slice-rows';
import { TensorEncodingError, type Tensor } from '../../onnx/tensor-encoding';
import type { UserField, UserRow } from '../../preprocess/preprocessor';
import type { DataBatch } from '../data/dataset';
import type { MeasuredModel } from '../measure/measure-speed';
import { fixedRows, runRows, type RunnableModel } from '../measure/runnable-model';
import { ModelToolError } from '../tool-error';

/** A running endpoint that takes what users send, and makes the inputs of its model itself. */
export interface UserEndpoint {
  /** What rows consist of. @default - the endpoint does not say */
  readonly fields?: readonly UserField[];
  /** Digest of its preprocessing. @default - the endpoint does not say */
  readonly preprocessingSha256?: string;
  /** One request, or several where rows are large: outputs as those of `RunnableModel.run`. */
  run(rows: readonly UserRow[]): Promise<readonly Tensor[]>;
}

/** What is asked, and how. */
export interface AskedModel {
  readonly name: string;
  readonly model: RunnableModel;
  readonly users?: UserEndpoint;
}

/** Rows to ask for. `users` are there only where they are to be sent to whoever takes them. */
export type AskedRows = Pick<DataBatch<unknown>, 'inputs' | 'users'>;

/**
 * Asks one model for rows: an endpoint that takes them for what users have, all others for tensors.
 * @throws ModelToolError DATA_MISFIT for rows that the model does not take
 */
export function askModel(asked: AskedModel, rows: AskedRows): Promise<readonly Tensor[]> {
  if (asked.users === undefined || rows.users === undefined) return runRows(asked.model, inputsFor(asked, rows.inputs));
  return runUserRows(asked.model, asked.users, rows.users);
}

/** The same, timed with rows that are repeated. */
export function measuredModel(asked: AskedModel, rows: AskedRows): MeasuredModel {
  const { name, model, users } = asked;
  if (users === undefined || rows.users === undefined) return { name, model, rows: inputsFor(asked, rows.inputs) };
  const own = rows.users;
  const asking = (batchSize: number) => {
    const sent = Array.from({ length: batchSize }, (_, i) => own[i % own.length]!);
    return () => users.run(sent);
  };
  return { name, model, rows: rows.inputs, asking };
}

/** A model that fixes its rows gets so many: the last one fills up, and what comes of that is cut off. */
async function runUserRows(
  model: RunnableModel,
  users: UserEndpoint,
  rows: readonly UserRow[],
): Promise<readonly Tensor[]> {
  const wanted = fixedRows(model) ?? rows.length;
  if (wanted <= rows.length) return users.run(rows);
  const filled = [...rows, ...new Array<UserRow>(wanted - rows.length).fill(rows.at(-1)!)];
  const outputs = await users.run(filled);
  return outputs.map((output) => (output.shape[0] === wanted ? sliceRows(output, 0, rows.length) : output));
}

/**
 * The rows as a compared model takes them: by name, or its only input whatever its name, and in its datatype where nothing but
 * precision is lost.
 */
function inputsFor({ name, model }: AskedModel, rows: readonly Tensor[]): readonly Tensor[] {
  const misfit = (message: string): ModelToolError => new ModelToolError('DATA_MISFIT', name, message);
  if (rows.length === 0) {
    throw misfit('takes tensors, and nobody here says how rows become them: give --preprocessing');
  }
  return model.inputs.map((input) => {
    const isOnly = model.inputs.length === 1 && rows.length === 1;
    const given = isOnly ? rows[0] : rows.find((tensor) => tensor.name === input.name);
    if (given === undefined) throw misfit(`takes an input '${input.name}', which the first model does not`);
    try {
      const { datatype } = input;
      return { name: input.name, datatype, shape: given.shape, data: castNpy(given, datatype) };
    } catch (error) {
      if (!TensorEncodingError.is(error)) throw error;
      throw misfit(`takes ${input.datatype} for '${input.name}', and the rows are ${given.datatype}`);
    }
  });
}
