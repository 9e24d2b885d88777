import { createHash } from 'node:crypto';
import jsonata from 'jsonata';

/** A state machine in Amazon States Language with JSONata, as far as ours use it. */
export interface StateMachine {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, any>>;
}

/** Answers in place of AWS, by `<service>:<action>` (`ecs:runTask.sync`); one that throws a StateError fails its task. */
export type Answers = Readonly<Record<string, (arguments_: any, nth: number) => unknown>>;

export class StateError extends Error {
  constructor(
    readonly error: string,
    override readonly cause: string,
  ) {
    super(`${error}: ${cause}`);
  }
}

export interface Execution {
  /** Names of the states that were entered. */
  readonly path: readonly string[];
  readonly end: { readonly state: string; readonly output?: any; readonly error?: string; readonly cause?: string };
  readonly calls: readonly { readonly action: string; readonly arguments: any }[];
}

const MAX_STATES = 500;
const EXECUTION = 'arn:aws:states:us-east-1:123456789012:execution:Pipeline:one';

/**
 * Runs a state machine with the very expressions that a deployment gets, evaluated by JSONata itself; waiting takes no
 * time. What Step Functions adds to JSONata ($hash, $parse) is done here as its documentation says.
 */
export async function runStates(machine: StateMachine, input: unknown, answers: Answers): Promise<Execution> {
  const path: string[] = [];
  const calls: { action: string; arguments: any }[] = [];
  let variables: Record<string, unknown> = {};
  let data: unknown = input;
  let name = machine.StartAt;

  for (let entered = 0; entered < MAX_STATES; entered++) {
    const state = machine.States[name];
    if (state === undefined) throw new Error(`there is no state ${name}`);
    path.push(name);
    const states: Record<string, unknown> = {
      input: data,
      context: { Execution: { Id: EXECUTION }, Task: { Token: `token of ${name}` } },
    };
    const read = (value: unknown): Promise<any> => evaluate(value, { ...variables, states });
    const leave = async ({ Assign, Output, Next }: any): Promise<void> => {
      const assigned = (await read(Assign ?? {})) as object;
      if (Output !== undefined) data = await read(Output);
      variables = { ...variables, ...assigned };
      name = Next;
    };
    switch (state.Type) {
      case 'Task': {
        const action = /:states:::(?:aws-sdk:)?(.*)$/.exec(state.Resource as string)![1]!;
        try {
          calls.push({ action, arguments: await read(state.Arguments) });
          const nth = calls.filter((call) => call.action === action).length;
          states['result'] = await answers[action]!(calls.at(-1)!.arguments, nth);
          await leave(state);
        } catch (error) {
          if (!(error instanceof StateError)) throw error;
          const [catcher] = state.Catch ?? [];
          if (catcher === undefined) return ended(name, { error: error.error, cause: error.cause });
          states['errorOutput'] = { Error: error.error, Cause: error.cause };
          await leave(catcher);
        }
        break;
      }
      case 'Choice': {
        let next: string = state.Default;
        for (const { Condition, Next } of state.Choices) {
          const holds: unknown = await read(Condition);
          if (typeof holds !== 'boolean') throw new Error(`${name}: ${Condition} is no boolean but ${String(holds)}`);
          if (!holds) continue;
          next = Next;
          break;
        }
        name = next;
        break;
      }
      case 'Succeed':
        return ended(name, { output: state.Output === undefined ? data : await read(state.Output) });
      case 'Fail':
        return ended(name, { error: await read(state.Error), cause: await read(state.Cause) });
      case 'Pass':
      case 'Wait':
        await leave(state);
        break;
      default:
        throw new Error(`no test runs states of type ${state.Type}`);
    }
  }
  throw new Error(`no end after ${MAX_STATES} states: ${path.slice(-6).join(', ')}`);

  function ended(state: string, rest: Omit<Execution['end'], 'state'>): Execution {
    return { path, end: { state, ...rest }, calls };
  }
}

async function evaluate(value: unknown, variables: Readonly<Record<string, unknown>>): Promise<any> {
  if (Array.isArray(value)) return Promise.all(value.map((item) => evaluate(item, variables)));
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(async ([key, field]) => [key, await evaluate(field, variables)]);
    return Object.fromEntries(await Promise.all(fields));
  }
  const [, text] = typeof value === 'string' ? (/^\{% (.*) %\}$/s.exec(value) ?? []) : [];
  if (text === undefined) return value;
  const expression = jsonata(text);
  expression.registerFunction('parse', (json: string) => JSON.parse(json));
  expression.registerFunction('hash', (data: string, algorithm: string) =>
    createHash(algorithm.replace('-', '').toLowerCase()).update(data).digest('hex'),
  );
  // Numbers, text, lists: as JSON they leave the sequences of JSONata behind.
  const result: unknown = await expression.evaluate(undefined, variables as Record<string, any>);
  if (result === undefined) throw new StateError('States.QueryEvaluationError', `${text} gives nothing`);
  return JSON.parse(JSON.stringify(result));
}
